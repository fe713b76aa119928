import type { RecordingPolicy } from "../../contract/recording.ts";
import type { Subject } from "../access/subject.ts";
import { isReservedName } from "../config/load.ts";
import type { IdentityRule, Limits, Role } from "../config/schema.ts";
import { fillTemplate } from "../config/template.ts";
import type { Refusal } from "../refusal.ts";

/** Who somebody is here, and as whom they act in the cluster. */
export interface Identity {
  /** The Access identity: names the user's object and stands in the record. */
  readonly name: string;
  /** The Access subject; becomes the impersonated uid. Service tokens have none. */
  readonly uid: string | undefined;
  readonly user: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  readonly roles: readonly Role[];
  /** What the rule says of this identity's sessions in place of the usual. */
  readonly limits: Partial<Limits>;
  readonly recording: Partial<RecordingPolicy>;
  /** Which of the cluster's identity rules gave all that. */
  readonly rule: number;
}

/** What is known of somebody beyond the token. */
export interface AccessIdentity {
  /** Names, ids and addresses of groups. */
  readonly groups: readonly string[];
  /** Names and ids of the device posture checks that succeeded. */
  readonly posture: readonly string[];
  /** Where this request comes from. The token only says where its bearer signed in, up to a day ago. */
  readonly country?: unknown;
}

export type IdentifyResult =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly refusal: Refusal };

/** Maps a verified subject to an identity by the first rule that matches. No rule, no access. */
export function identify(subject: Subject, details: AccessIdentity, rules: readonly IdentityRule[]): IdentifyResult {
  const index = rules.findIndex(({ match }) => matches(match, subject, details));
  const rule = rules[index];
  if (!rule) return refused(`no rule here gives ${subject.name} access: ask your administrator to add one`);
  const template = rule.user ?? (subject.email === undefined ? "service:{common_name}" : "{email}");
  const user = fillTemplate(template, (name) => readText(subject, name));
  if (user === undefined) {
    return refused("your Access token lacks a claim that your user name is made of: ask your administrator");
  }
  // Spelled out in the rule it is the administrator's word; made from a claim it would be the identity provider's.
  if (isReservedName(user) && user !== rule.user) {
    return refused("your user name would be one that Kubernetes reserves: ask your administrator");
  }
  const { groups, extra, roles, limits, recording } = rule;
  const uid = subject.sub === "" ? undefined : subject.sub;
  return {
    ok: true,
    identity: { name: subject.name, uid, user, groups, extra, roles, limits, recording, rule: index },
  };
}

function refused(message: string): IdentifyResult {
  return { ok: false, refusal: { code: "no_identity", message } };
}

function matches(match: IdentityRule["match"], subject: Subject, details: AccessIdentity): boolean {
  const { email, emailDomain, group, claim, value, serviceToken, country, posture } = match;
  return (
    (email === undefined || subject.email === email.toLowerCase()) &&
    (emailDomain === undefined || isOfDomain(subject.email, emailDomain.toLowerCase())) &&
    (group === undefined || details.groups.includes(group)) &&
    (claim === undefined || value === undefined || hasValue(readClaim(subject.claims, claim), value)) &&
    (serviceToken === undefined || subject.commonName === serviceToken) &&
    (country === undefined || isFrom(country, subject, details)) &&
    (posture === undefined || details.posture.includes(posture))
  );
}

/** Both: a token signed for at home does not serve abroad. Locally nobody knows where a request comes from. */
function isFrom(countries: readonly string[], subject: Subject, { country }: AccessIdentity): boolean {
  const isSignedInThere = countries.includes(String(subject.claims["country"]));
  return isSignedInThere && (country === undefined || countries.includes(String(country)));
}

/** The part behind the LAST @, whole: `evil@example.com@other.org` and `alice@notexample.com` are not example.com's. */
function isOfDomain(email: string | undefined, domain: string): boolean {
  return email !== undefined && email.slice(email.lastIndexOf("@") + 1) === domain;
}

function hasValue(claim: unknown, value: string): boolean {
  return Array.isArray(claim) ? claim.includes(value) : claim === value;
}

function readText(subject: Subject, name: string): string | undefined {
  switch (name) {
    case "email":
      return subject.email;
    case "email.local":
      return subject.email?.slice(0, subject.email.lastIndexOf("@"));
    case "common_name":
      return subject.commonName;
    default: {
      const value = readClaim(subject.claims, name);
      return typeof value === "string" ? value : undefined;
    }
  }
}

/** Reads a dotted path of own properties: a claim named `__proto__` or `constructor` finds nothing. */
export function readClaim(claims: object, path: string): unknown {
  let value: unknown = claims;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
