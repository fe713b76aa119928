import type { IncomingMessage } from "node:http";
import { internalError } from "../api/status.ts";

/** The user of a request, as `authentication.k8s.io/v1` UserInfo. */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const ANONYMOUS: UserInfo = { username: "system:anonymous", groups: ["system:unauthenticated"] };

/** The account that makes every request to this cluster, in place of a sidecar's. It may only impersonate. */
export const PROXY_ACCOUNT: UserInfo = {
  username: "system:serviceaccount:access-proxy:impersonator",
  groups: ["system:serviceaccounts", "system:serviceaccounts:access-proxy", "system:authenticated"],
};

const EXTRA_PREFIX = "impersonate-extra-";

/**
 * Reads the user from the Impersonate-* headers; system:anonymous without them. As in the API server's
 * impersonation filter, all but the anonymous user also belong to system:authenticated, each header line has
 * one group, and the key of an extra is the percent-decoded rest of the header's name in lower case.
 */
export function impersonatedUser(request: IncomingMessage): UserInfo {
  const lines = request.headersDistinct;
  const [username = ""] = lines["impersonate-user"] ?? [];
  const [uid = ""] = lines["impersonate-uid"] ?? [];
  const groups = lines["impersonate-group"] ?? [];
  const extras = Object.entries(lines).filter(([name]) => name.startsWith(EXTRA_PREFIX));
  if (username === "") {
    const asked = [...groups, ...extras.map(([name]) => name), ...(uid === "" ? [] : ["uid"])];
    if (asked.length === 0) return ANONYMOUS;
    throw internalError(`requested [${asked.join(" ")}] without impersonating a user`);
  }
  if (username === ANONYMOUS.username) return { ...ANONYMOUS, groups: [...new Set([...groups, ...ANONYMOUS.groups])] };
  const extra = Object.fromEntries(
    extras.map(([name, values]) => [decodeKey(name.slice(EXTRA_PREFIX.length)), values ?? []]),
  );
  return {
    username,
    ...(uid === "" ? {} : { uid }),
    groups: [...new Set([...groups, "system:authenticated"])],
    ...(extras.length === 0 ? {} : { extra }),
  };
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    // The API server leaves a key unchanged that is not valid percent-encoding.
    return key;
  }
}
