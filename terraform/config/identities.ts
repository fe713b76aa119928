/** As whom people act in a cluster, read from its identity rules. Pure. */
import * as z from "zod";
import { type IdentityRule, identityRuleSchema } from "../../worker/config/identities.ts";
import { fillTemplate } from "../../worker/config/template.ts";
import type { DeployedCluster, Deployment } from "./schema.ts";

const rulesSchema = z.array(identityRuleSchema);

/** The identity rules that hold for a cluster: its own, or the deployment's. */
export function identitiesOf({ sallyport }: Deployment, cluster: DeployedCluster): readonly IdentityRule[] {
  return rulesSchema.parse(cluster.identities ?? sallyport.identities);
}

/** What the connector's account must be allowed to impersonate for these people to get in, and no more. */
export interface Impersonated {
  readonly groups: readonly string[];
  /** `"any"` where they cannot be, or are not, enumerated. */
  readonly users: readonly string[] | "any";
  /** Values by key; `sallyport-session` is not here, for its values are not known before. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** Every name that the rules can give, sorted, each once. */
export function impersonated(rules: readonly IdentityRule[], named?: readonly string[] | "any"): Impersonated {
  const literal = rules.map(literalUser);
  const known = literal.filter((user) => user !== undefined);
  // Named ones are added to what the rules spell out. Where all is spelled out, "any" would only be more than is needed.
  const users = known.length === literal.length || Array.isArray(named) ? [...known, ...listOf(named)] : "any";
  const extra: Record<string, string[]> = {};
  for (const key of sorted(rules.flatMap((rule) => Object.keys(rule.extra)))) {
    extra[key] = sorted(rules.flatMap((rule) => rule.extra[key] ?? []));
  }
  return {
    groups: sorted(rules.flatMap(({ groups }) => groups)),
    users: users === "any" ? users : sorted(users),
    extra,
  };
}

/** Indices of the rules whose users only a token can tell. */
export function openUsers(rules: readonly IdentityRule[]): number[] {
  return rules.flatMap((rule, index) => (literalUser(rule) === undefined ? [index] : []));
}

/**
 * The one user name that a rule gives, if it is one: written out, or made of nothing but what the rule itself matches on.
 * The same as `identify` makes of it (worker/policy/identify.ts), which has addresses in lower case.
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

/** What a rule without `user` gives; undefined where people and service tokens may both match. */
function defaultTemplate({ email, serviceToken }: IdentityRule["match"]): string | undefined {
  if (email !== undefined) return "{email}";
  return serviceToken === undefined ? undefined : "service:{common_name}";
}

function listOf(named: readonly string[] | "any" | undefined): readonly string[] {
  return Array.isArray(named) ? named : [];
}

function sorted(names: readonly string[]): string[] {
  // By code units, wherever it runs: the same rules are the same role.
  return [...new Set(names)].sort((one, other) => (one < other ? -1 : 1));
}
