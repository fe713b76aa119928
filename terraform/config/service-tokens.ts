/** Where service tokens come in. Pure. */
import type { DeployedCluster, Deployment } from "./schema.ts";

/** Added to the first label of a cluster's host name. */
const SUFFIX = "-ci";

/** The names of the service tokens that Terraform creates. */
export function serviceTokenNames({ access }: Pick<Deployment, "access">): string[] {
  return access.serviceTokens.map(({ name }) => name);
}

/** Whether service tokens have an application and host names of their own. */
export function hasServiceTokenHosts({ access }: Pick<Deployment, "access">): boolean {
  return access.serviceTokenHosts === "own" && access.allow.some((who) => "serviceToken" in who);
}

/**
 * The host name of a cluster that only service tokens use. Undefined where they use the people's, or there
 * are none.
 */
export function serviceTokenHostnameOf(
  deployment: Pick<Deployment, "access">,
  { hostnames, serviceTokenHostname }: Pick<DeployedCluster, "hostnames" | "serviceTokenHostname">,
): string | undefined {
  if (!hasServiceTokenHosts(deployment)) return undefined;
  const [first = ""] = hostnames;
  return serviceTokenHostname ?? first.replace(/^[^.]+/, (label) => label + SUFFIX);
}

/** All host names of a cluster, people's first. */
export function allHostnamesOf(deployment: Pick<Deployment, "access">, cluster: DeployedCluster): string[] {
  const own = serviceTokenHostnameOf(deployment, cluster);
  return [...cluster.hostnames, ...(own === undefined ? [] : [own])];
}
