/** The Kubernetes identities that a cluster's identity rules can give. Pure. */
import * as z from "zod";
import { type Grant, grantSchema } from "../../worker/config/grants.ts";
import { type IdentityRule, identityRuleSchema } from "../../worker/config/identities.ts";
import { fillTemplate } from "../../worker/config/template.ts";
import type { DeployedCluster, Deployment } from "./schema.ts";

const rulesSchema = z.array(identityRuleSchema);
const grantsSchema = z.array(grantSchema);

/** The identity rules of a cluster: its own, or else the deployment's. */
export function identitiesOf({ sallyport }: Deployment, cluster: DeployedCluster): readonly IdentityRule[] {
  return rulesSchema.parse(cluster.identities ?? sallyport.identities);
}

/** What the connector's account must be allowed to impersonate, and no more. */
export interface Impersonated {
  readonly groups: readonly string[];
  /** `"any"` where they are not enumerated. */
  readonly users: readonly string[] | "any";
  /** Values by key, without Sallyport's own extras, whose values are not known in advance. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
  /** Somebody may be another user, so that their own name must be sent along. */
  readonly hasOtherUsers: boolean;
  /** Somebody may be granted something, so that the grant's name must be sent along. */
  readonly hasGrants: boolean;
}

/** What the connector of a cluster must be allowed to impersonate. Grants hold in all clusters. */
export function impersonatedIn(deployment: Deployment, cluster: DeployedCluster): Impersonated {
  const grants = grantsSchema.parse(deployment.sallyport.grants ?? []);
  return impersonated(identitiesOf(deployment, cluster), cluster.impersonate?.users, grants);
}

/**
 * Every name that the rules and grants can give, sorted, each once.
 *
 * @param named user names that the deployment file lists, for rules that make user names from claims
 */
export function impersonated(
  rules: readonly IdentityRule[],
  named?: readonly string[] | "any",
  grants: readonly Pick<Grant, "gives">[] = [],
): Impersonated {
  const literal = rules.map(literalUser);
  const known = literal.filter((user) => user !== undefined);
  const others = rules.flatMap(({ mayImpersonate }) => mayImpersonate.users);
  // Where the rules name every user, "any" would allow more than is needed.
  const isListed = known.length === literal.length || Array.isArray(named);
  const users = isListed ? [...known, ...listOf(named), ...others] : "any";
  const extra: Record<string, string[]> = {};
  for (const key of sorted(rules.flatMap((rule) => Object.keys(rule.extra)))) {
    extra[key] = sorted(rules.flatMap((rule) => rule.extra[key] ?? []));
  }
  return {
    groups: sorted([
      ...rules.flatMap(({ groups, mayImpersonate }) => [...groups, ...mayImpersonate.groups]),
      ...grants.flatMap(({ gives }) => gives.groups),
    ]),
    users: users === "any" ? users : sorted(users),
    extra,
    hasOtherUsers: others.length > 0,
    hasGrants: grants.length > 0,
  };
}

/** Indices of the rules whose user names depend on the token. */
export function openUsers(rules: readonly IdentityRule[]): number[] {
  return rules.flatMap((rule, index) => (literalUser(rule) === undefined ? [index] : []));
}

/**
 * The user name that a rule gives, where it does not depend on the token: it is written out, or made only of
 * what the rule matches on. It equals what `identify` makes of the rule (worker/policy/identify.ts), which
 * uses lower case addresses.
 *
 * @returns undefined where the name depends on the token
 */
export function literalUser({ match, user }: IdentityRule): string | undefined {
  const email = match.email?.toLowerCase();
  const template = user ?? defaultTemplate(match);
  if (template === undefined) return undefined;
  return fillTemplate(template, (name) => {
    if (name === "email") return email;
    if (name === "email.local") return email?.slice(0, email.lastIndexOf("@"));
    return name === "common_name" ? match.serviceToken : undefined;
  });
}

/** The template of a rule without `user`. Undefined where both people and service tokens may match. */
function defaultTemplate({ email, serviceToken }: IdentityRule["match"]): string | undefined {
  if (email !== undefined) return "{email}";
  return serviceToken === undefined ? undefined : "service:{common_name}";
}

function listOf(named: readonly string[] | "any" | undefined): readonly string[] {
  return Array.isArray(named) ? named : [];
}

function sorted(names: readonly string[]): string[] {
  // By code units, not by locale: the same rules give the same role on every machine.
  return [...new Set(names)].sort((one, other) => (one < other ? -1 : 1));
}
