import type { SessionLimits } from "../durable/limits.ts";
import type { RecordingPolicy } from "../durable/recording/policy.ts";
import type { Claims } from "./authenticate.ts";
import type { IdentityRule, Role } from "./config/schema.ts";
import type { Refusal } from "./refusal.ts";

/** Who somebody is here, and as whom they act in the cluster. */
export interface Identity {
  /** The Access identity: names the user's object and stands in the record. */
  readonly email: string;
  /** The Access subject; becomes the impersonated uid. */
  readonly uid: string;
  readonly user: string;
  readonly groups: readonly string[];
  readonly roles: readonly Role[];
  /** What the rule says of this identity's sessions in place of the usual. */
  readonly limits: Partial<SessionLimits>;
  readonly recording: Partial<RecordingPolicy>;
}

export type Identified =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly refusal: Refusal };

/** Maps verified claims to an identity by the first rule that matches. No rule, no access. */
export function identify(claims: Claims, rules: readonly IdentityRule[]): Identified {
  const rule = rules.find(({ match }) => matches(match, claims));
  if (!rule) {
    const message = `no rule here gives ${claims.email} access: ask your administrator to add one`;
    return { ok: false, refusal: { code: "no_identity", message } };
  }
  return {
    ok: true,
    identity: {
      email: claims.email,
      uid: claims.sub,
      user: rule.user ?? claims.email,
      groups: rule.groups,
      roles: rule.roles,
      limits: rule.limits,
      recording: rule.recording,
    },
  };
}

function matches(match: IdentityRule["match"], claims: Claims): boolean {
  if ("email" in match) return claims.email === match.email.toLowerCase();
  // The part behind the LAST @, whole: `evil@example.com@other.org` and `alice@notexample.com` are not example.com's.
  if ("emailDomain" in match) {
    return claims.email.slice(claims.email.lastIndexOf("@") + 1) === match.emailDomain.toLowerCase();
  }
  const claim = readClaim(claims, match.claim);
  return Array.isArray(claim) ? claim.includes(match.value) : claim === match.value;
}

/** Reads a dotted path of own properties: a claim named `__proto__` or `constructor` finds nothing. */
function readClaim(claims: Claims, path: string): unknown {
  let value: unknown = claims;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
