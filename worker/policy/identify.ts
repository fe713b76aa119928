import { isOfDomain } from "../../common/person-name.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { RecordingPolicy } from "../../contract/recording.ts";
import type { AccessIdentity } from "../access/access-identity.ts";
import { readClaim } from "../access/claims.ts";
import type { Subject } from "../access/subject.ts";
import { isReservedName } from "../config/reserved-names.ts";
import type { IdentityRule, Limits, Role } from "../config/schema.ts";
import { fillTemplate } from "../config/template.ts";
import { type Denial, denial } from "../denials.ts";

/** Who somebody is in Sallyport, and as whom they act in the cluster. */
export interface Identity {
  /** The Access identity. Names the user's object, and the user in the audit log. */
  readonly name: string;
  /** The Access subject; becomes the impersonated uid. Service tokens have none. */
  readonly uid: string | undefined;
  readonly user: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  /** Other users and groups that this identity may be in the cluster, if its client asks for it. */
  readonly mayImpersonate: IdentityRule["mayImpersonate"];
  readonly roles: readonly Role[];
  /** Override the configuration's own for sessions of this identity. */
  readonly limits: Partial<Limits>;
  readonly recording: Partial<RecordingPolicy>;
  /** The index of the identity rule that matched. */
  readonly rule: number;
}

/** Maps a verified subject to an identity, and reads the request's country only where a rule asks for it. */
export type Identify = (
  subject: Subject,
  known: AccessIdentity,
  rules: readonly IdentityRule[],
  readCountry: () => unknown,
) => Result<Identity, Denial>;

/**
 * Makes an `identify` that remembers each subject's last answer. All requests with the same token have one
 * subject, and rules without a country look at nothing else of a request.
 */
export function createIdentifier(): Identify {
  const answers = new WeakMap<Subject, { known: AccessIdentity; rules: unknown; answer: Result<Identity, Denial> }>();
  return (subject, known, rules, readCountry) => {
    const last = answers.get(subject);
    if (last?.known === known && last.rules === rules) return last.answer;
    if (rules.some(({ match }) => match.country !== undefined)) {
      return identify(subject, { ...known, country: readCountry() }, rules);
    }
    const answer = identify(subject, known, rules);
    answers.set(subject, { known, rules, answer });
    return answer;
  };
}

/** Maps a verified subject to an identity by the first rule that matches. Without one there is no access. */
export function identify(
  subject: Subject,
  accessIdentity: AccessIdentity,
  rules: readonly IdentityRule[],
): Result<Identity, Denial> {
  const index = rules.findIndex(({ match }) => matchesIdentity(match, subject, accessIdentity));
  const rule = rules[index];
  if (!rule) return noIdentity(`no rule here gives ${subject.name} access: ask your administrator to add one`);
  const named = userOf(rule, subject);
  if (!named.ok) return named;
  const user = named.value;
  const { groups, extra, mayImpersonate, roles, limits, recording } = rule;
  const uid = subject.sub === "" ? undefined : subject.sub;
  const { name } = subject;
  return ok({ name, uid, user, groups, extra, mayImpersonate, roles, limits, recording, rule: index });
}

/**
 * The Kubernetes users that the rules may make of somebody, in whatever country and on whatever device they
 * are: they choose these, and with them the rule that is the first to match.
 */
export function possibleUsers(
  subject: Subject,
  accessIdentity: AccessIdentity,
  rules: readonly IdentityRule[],
): readonly string[] {
  const users: string[] = [];
  for (const rule of rules) {
    const { country, posture, ...match } = rule.match;
    if (!matchesIdentity(match, subject, accessIdentity)) continue;
    const user = userOf(rule, subject);
    if (user.ok) users.push(user.value);
    // It matches them everywhere, so they never come to those that follow.
    if (country === undefined && posture === undefined) break;
  }
  return users;
}

/** Whom a rule that matches somebody makes of them. */
function userOf(rule: IdentityRule, subject: Subject): Result<string, Denial> {
  const template = rule.user ?? (subject.email === undefined ? "service:{common_name}" : "{email}");
  const user = fillTemplate(template, (name) => readText(subject, name));
  if (user === undefined) {
    return noIdentity("your Access token lacks a claim that your user name is made of: ask your administrator");
  }
  // A literal in the rule is the administrator's choice, a claim would be the identity provider's.
  if (isReservedName(user) && user !== rule.user) {
    return noIdentity("your user name would be one that Kubernetes reserves: ask your administrator");
  }
  return ok(user);
}

function noIdentity(message: string): Result<never, Denial> {
  return err(denial("no_identity", message));
}

/** Whether a match holds: all that it names. */
export function matchesIdentity(
  match: IdentityRule["match"],
  subject: Subject,
  accessIdentity: AccessIdentity,
): boolean {
  const { email, emailDomain, group, groupName, claim, value, serviceToken, country, posture } = match;
  return (
    (email === undefined || subject.email === email.toLowerCase()) &&
    (emailDomain === undefined || isOfDomain(subject.email, emailDomain.toLowerCase())) &&
    (group === undefined || accessIdentity.groups.includes(group)) &&
    (groupName === undefined || accessIdentity.groupNames.includes(groupName)) &&
    (claim === undefined || value === undefined || hasValue(readClaim(subject.claims, claim), value)) &&
    (serviceToken === undefined || subject.commonName === serviceToken) &&
    (country === undefined || isFrom(country, subject, accessIdentity)) &&
    (posture === undefined || accessIdentity.posture.includes(posture))
  );
}

/**
 * Both the sign-in and the request must come from one of the countries: a token obtained at home must not
 * work abroad. Locally the request's country is unknown, and only the sign-in counts.
 */
function isFrom(countries: readonly string[], subject: Subject, { country }: AccessIdentity): boolean {
  const isSignedInThere = countries.includes(String(subject.claims["country"]));
  return isSignedInThere && (country === undefined || countries.includes(String(country)));
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
