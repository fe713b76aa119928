import { maskControlCharacters } from "../../common/text.ts";
import { readClaim } from "./claims.ts";
import type { Subject } from "./subject.ts";

/** How somebody signed in, as far as Access tells. For the audit log alone: no rule decides by it. */
export interface SignIn {
  /**
   * `service_token`, `warp` for a session of the Cloudflare One client, or the type of the identity provider
   * as Access names it, such as `azureAD` or `onetimepin`. null: Access was not asked, or does not say.
   */
  readonly kind: string | null;
  /** The id of the enrolled device. */
  readonly deviceId: string | null;
}

const MAX_CHARS = 64;

/**
 * Reads how somebody signed in from the verified token and, where Access was asked, from get-identity's
 * answer (https://developers.cloudflare.com/api/resources/zero_trust/subresources/access/, `access_identity`).
 */
export function readSignIn({ email, claims }: Pick<Subject, "email" | "claims">, identity: object = {}): SignIn {
  const deviceId = readShortText(identity, "device_id") ?? readShortText(claims, "device_id");
  if (email === undefined) return { kind: "service_token", deviceId };
  const kind = readClaim(identity, "is_warp") === true ? "warp" : readShortText(identity, "idp.type");
  return { kind, deviceId };
}

/** Access writes an empty text for what it does not know. */
function readShortText(source: object, path: string): string | null {
  const value = readClaim(source, path);
  return typeof value === "string" && value !== "" ? maskControlCharacters(value.slice(0, MAX_CHARS)) : null;
}
