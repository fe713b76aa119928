import type { Config } from "../config/schema.ts";
import { type AccessIdentity, readClaim } from "../policy/identify.ts";
import type { Refusal } from "../refusal.ts";
import type { Subject } from "./subject.ts";
import { TokenCache } from "./token-cache.ts";

export type AccessIdentityResult =
  | { readonly ok: true; readonly details: AccessIdentity }
  | { readonly ok: false; readonly refusal: Refusal };

/** Tells what Access knows of a subject beyond names and addresses. */
export type ReadAccessIdentity = (subject: Subject, token: string) => Promise<AccessIdentityResult>;

/** Groups change while a token lives; who lost one should not keep it for the token's whole day. */
const MAX_AGE_MS = 5 * 60 * 1000;
const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 256 * 1024;

/**
 * Makes the reader of groups and posture. Where no rule asks for more than the token has, Access is never asked.
 *
 * @param fetcher only tests pass their own
 */
export function accessIdentityReader(
  config: Config,
  fetcher: typeof fetch = fetch,
  now: () => number = Date.now,
): ReadAccessIdentity {
  const { groups } = config.access;
  const matches = config.clusters.flatMap(({ identities }) => identities.map(({ match }) => match));
  const asksAccess = matches.some(
    ({ group, posture }) => posture !== undefined || (group !== undefined && "getIdentity" in groups),
  );
  const fromClaim = (subject: Subject) =>
    "claim" in groups ? groupNames(readClaim(subject.claims, groups.claim)) : [];
  if (!asksAccess) {
    // One subject serves all requests of a token for a while; see `authenticator`.
    const claimed = new WeakMap<Subject, AccessIdentityResult>();
    return async (subject) => {
      const known = claimed.get(subject) ?? { ok: true, details: { groups: fromClaim(subject), posture: [] } };
      claimed.set(subject, known);
      return known;
    };
  }

  const kept = new TokenCache<AccessIdentity>();
  const url = `${config.access.teamDomain}/cdn-cgi/access/get-identity`;
  return async (subject, token) => {
    // A service token has no identity to get.
    if (subject.email === undefined) return { ok: true, details: { groups: fromClaim(subject), posture: [] } };
    const known = kept.get(token, now());
    try {
      // Only what has arrived is shared: the platform lets no request wait for another one's fetch.
      const details = known ?? (await fetchAccessIdentity(fetcher, url, subject.email, token));
      if (!known) kept.set(token, details, Math.min(now() + MAX_AGE_MS, subject.expiresAt));
      return { ok: true, details: "claim" in groups ? { ...details, groups: fromClaim(subject) } : details };
    } catch (error) {
      console.error(`access: get-identity cannot be used: ${error instanceof Error ? error.message : "failed"}`);
      const message = "Cloudflare Access does not tell your groups at the moment: try again in a minute";
      return { ok: false, refusal: { code: "identity_unreachable", message } };
    }
  };
}

async function fetchAccessIdentity(
  fetcher: typeof fetch,
  url: string,
  email: string,
  token: string,
): Promise<AccessIdentity> {
  const response = await fetcher(url, {
    // The documented way to ask for somebody whose token one holds.
    headers: { Cookie: `CF_Authorization=${token}` },
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) throw new Error(`it answered ${response.status}`);
  const text = await response.text();
  if (text.length > MAX_ANSWER_BYTES) throw new Error("its answer is too large");
  const identity = JSON.parse(text) as object;
  // An error comes as 200, too. Taken for somebody without groups, it would lead on to a rule further down.
  if (String(readClaim(identity, "email")).toLowerCase() !== email)
    throw new Error("its answer is about nobody or another");
  return {
    groups: groupNames(readClaim(identity, "groups")),
    posture: Object.entries((readClaim(identity, "devicePosture") ?? {}) as object).flatMap(([id, check]) =>
      readClaim(check, "success") === true ? [id, ...groupNames(readClaim(check, "rule_name"))] : [],
    ),
  };
}

/** A text, or a list of texts or of objects with a name, an id or an address. */
function groupNames(value: unknown): string[] {
  return [value].flat().flatMap((one: unknown) => {
    if (typeof one === "string") return [one];
    if (typeof one !== "object" || one === null) return [];
    return ["id", "name", "email"].flatMap((key) => {
      const text = readClaim(one, key);
      return typeof text === "string" ? [text] : [];
    });
  });
}
