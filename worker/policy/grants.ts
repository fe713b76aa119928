/**
 * What grants make of somebody: more groups, and rules that count as approved. Pure.
 *
 * Users' objects know grants by name. What a grant gives, and to whom, is what the document in force says, so
 * that a grant which is removed there gives nothing to the next request.
 */
import { couldMatchName } from "../../common/person-name.ts";
import type { ActiveGrant } from "../../contract/access.ts";
import type { AccessIdentity } from "../access/access-identity.ts";
import type { Subject } from "../access/subject.ts";
import type { Grant } from "../config/schema.ts";
import { type Identity, matchesIdentity } from "./identify.ts";

/** A grant that somebody has now, and what it gives them. */
export interface HeldGrant extends ActiveGrant {
  readonly gives: Grant["gives"];
}

/** The grants that somebody may ask for and have, by the document. */
export function grantsFor(
  grants: readonly Grant[],
  subject: Subject,
  accessIdentity: AccessIdentity,
): readonly Grant[] {
  return grants.filter((grant) => grant.for.some((match) => matchesIdentity(match, subject, accessIdentity)));
}

/**
 * Why the document does not give a grant to somebody who has it, or has asked for it.
 *
 * @param user of whom only the name is known, as in the audit log: a grant for a group or a claim counts as
 *   for them
 * @returns undefined where it may
 */
export function whyNotGiven(grants: readonly Grant[], grant: string, user: string): string | undefined {
  const current = grants.find(({ name }) => name === grant);
  if (!current) return "the grant was removed from the configuration";
  if (current.for.some((match) => couldMatchName(match, user))) return undefined;
  return "the configuration no longer has the grant for its person";
}

/**
 * Those of them that somebody has now.
 *
 * @param available from `grantsFor`
 * @param active what the person's object says
 * @param now ms since the epoch
 */
export function heldGrants(
  available: readonly Grant[],
  active: readonly ActiveGrant[],
  now: number,
): readonly HeldGrant[] {
  return active.flatMap(({ id, grant, until }) => {
    const gives = available.find(({ name }) => name === grant)?.gives;
    return gives && now < until ? [{ id, grant, until, gives }] : [];
  });
}

/** The identity with the groups of its grants, which are its own while they hold. */
export function withGrants(identity: Identity, held: readonly HeldGrant[]): Identity {
  const granted = held.flatMap(({ gives }) => gives.groups);
  return granted.length === 0 ? identity : { ...identity, groups: [...new Set([...identity.groups, ...granted])] };
}

/**
 * The grants that made a difference to a request. Rules see every granted group, whoever the person acts as,
 * so each grant counts that adds one. Of several that give the same, the one that holds longest does.
 *
 * @param groups those that the identity rule gives
 * @param rule the rule that allowed the request because it is approved
 */
export function grantsThatCount(
  held: readonly HeldGrant[],
  groups: readonly string[],
  rule: string | undefined,
): readonly ActiveGrant[] {
  const longest = (gives: (grant: HeldGrant) => boolean) =>
    held.filter(gives).toSorted((one, other) => other.until - one.until)[0];
  const added = new Set(held.flatMap(({ gives }) => gives.groups).filter((group) => !groups.includes(group)));
  const counting = new Set([
    ...[...added].map((group) => longest(({ gives }) => gives.groups.includes(group))),
    ...(rule === undefined ? [] : [longest(({ gives }) => gives.rules.includes(rule))]),
  ]);
  return held.filter((grant) => counting.has(grant)).map(({ id, grant, until }) => ({ id, grant, until }));
}

/** The names of the rules that count as approved. */
export function approvedRules(held: readonly HeldGrant[]): ReadonlySet<string> {
  return new Set(held.flatMap(({ gives }) => gives.rules));
}
