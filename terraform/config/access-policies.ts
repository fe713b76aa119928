/** The Access policies of a deployment, and the applications that have them. Pure. */
import type { Deployment } from "./schema.ts";
import { hasServiceTokenHosts } from "./service-tokens.ts";

export interface AccessPolicy {
  readonly name: string;
  /** People sign in ("allow"). Service tokens have no identity and need "non_identity". */
  readonly decision: "allow" | "non_identity";
}

/** Whom a policy is for: users of the clusters, or who reaches `/-/admin`. */
export type Audience = "user" | "admin" | "auditor";

/** The policy that admits people. */
export function peoplePolicy({ name }: Pick<Deployment, "name">, audience: Audience): AccessPolicy {
  return { name: `${name}: ${audience}s`, decision: "allow" };
}

/** The policy that admits service tokens. */
export function servicesPolicy({ name }: Pick<Deployment, "name">, audience: Audience): AccessPolicy {
  return { name: `${name}: ${audience} services`, decision: "non_identity" };
}

export interface ApplicationPolicies {
  /** Of the applications in front of people's host names. */
  readonly people: readonly AccessPolicy[];
  /** Of those in front of `/-/admin`. */
  readonly admins: readonly AccessPolicy[];
  /** Of those that only service tokens use; they exist where tokens have host names of their own. */
  readonly serviceTokens: readonly AccessPolicy[];
}

/** The policies that each kind of application has, and no others. */
export function applicationPolicies(deployment: Pick<Deployment, "name" | "access">): ApplicationPolicies {
  const { allow, admins, auditors } = deployment.access;
  const admitsTokens = (list: typeof allow) => list.some((who) => "serviceToken" in who);
  const admitsPeople = (list: typeof allow) => list.some((who) => !("serviceToken" in who));
  const services = admitsTokens(allow) ? [servicesPolicy(deployment, "user")] : [];
  return {
    people: [
      ...(hasServiceTokenHosts(deployment) ? [] : services),
      ...(admitsPeople(allow) ? [peoplePolicy(deployment, "user")] : []),
    ],
    admins: [
      ...(admitsTokens(admins) ? [servicesPolicy(deployment, "admin")] : []),
      ...(admitsTokens(auditors) ? [servicesPolicy(deployment, "auditor")] : []),
      ...(admitsPeople(admins) ? [peoplePolicy(deployment, "admin")] : []),
      ...(admitsPeople(auditors) ? [peoplePolicy(deployment, "auditor")] : []),
    ],
    serviceTokens: services,
  };
}
