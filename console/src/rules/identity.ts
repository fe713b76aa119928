/** Which identity rule is somebody's, as far as their address alone tells. Pure. */
import { couldMatchName, SERVICE_TOKEN_PREFIX } from "../../../common/person-name.ts";
import type { IdentityMatch, IdentityRule, RulesDocument } from "./document.ts";

/** `unknown`: it depends on what Access says of them when they sign in. */
export type Fit = "yes" | "no" | "unknown";

/**
 * Whether a rule matches somebody.
 *
 * @param name an email address, or `service:<client id>`
 */
export function fitOf(match: IdentityMatch, name: string): Fit {
  const user = name.toLowerCase();
  const { group, groupName, posture, claim, country } = match;
  // A service token has no groups and no device.
  const hasWhatItLacks = user.startsWith(SERVICE_TOKEN_PREFIX) && (group ?? groupName ?? posture) !== undefined;
  if (hasWhatItLacks || !couldMatchName(match, user)) return "no";
  return (group ?? groupName ?? posture ?? claim ?? country) === undefined ? "yes" : "unknown";
}

export interface PossibleRule {
  readonly rule: IdentityRule;
  readonly index: number;
  readonly fit: Exclude<Fit, "no">;
}

/** The rules that may be theirs, in order, down to the first that surely is: the first that matches decides. */
export function possibleRules(identities: readonly IdentityRule[], name: string): readonly PossibleRule[] {
  const possible: PossibleRule[] = [];
  for (const [index, rule] of identities.entries()) {
    const fit = fitOf(rule.match, name);
    if (fit === "no") continue;
    possible.push({ rule, index, fit });
    if (fit === "yes") break;
  }
  return possible;
}

/** Who somebody may be by one list of identity rules. */
export interface PossibleIdentity {
  /** Whose own list it is; null for the document's, which gives roles and holds where a cluster has none. */
  readonly cluster: string | null;
  readonly possible: readonly PossibleRule[];
}

/** Who somebody may be by the document, and at each cluster that has identities of its own. */
export function possibleIdentities(
  { identities, clusters }: Pick<RulesDocument, "identities" | "clusters">,
  name: string,
): readonly PossibleIdentity[] {
  return [
    { cluster: null, possible: possibleRules(identities, name) },
    ...clusters.flatMap(({ name: cluster, identities: own }) =>
      own ? [{ cluster, possible: possibleRules(own, name) }] : [],
    ),
  ];
}

/** Everything that Access may say of somebody on which the document depends: what a question may assume. */
export interface Assumptions {
  readonly groups: readonly string[];
  readonly groupNames: readonly string[];
  /** As `name=value`. */
  readonly claims: readonly string[];
  readonly postures: readonly string[];
}

/** What identity rules and grants ask of people. */
export function assumptionsOf(matches: readonly IdentityMatch[]): Assumptions {
  const distinct = (values: readonly (string | undefined)[]) => [
    ...new Set(values.filter((value) => value !== undefined)),
  ];
  return {
    groups: distinct(matches.map(({ group }) => group)),
    groupNames: distinct(matches.map(({ groupName }) => groupName)),
    claims: distinct(matches.map(({ claim, value }) => (claim === undefined ? undefined : `${claim}=${value}`))),
    postures: distinct(matches.map(({ posture }) => posture)),
  };
}
