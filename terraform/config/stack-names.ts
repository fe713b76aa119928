/** The names of the stacks: folders of generated JSON, and keys of state. Loads no CDK. */
import type { DeployedCluster } from "./schema.ts";

/** What has a secret of its own. */
export const SECRETS_STACK = "secrets";
export const EDGE_STACK = "edge";
export const DEMO_STACK = "demo";

export function clusterStackName({ name }: Pick<DeployedCluster, "name">): string {
  return `cluster-${name}`;
}

/** The address of a service token in the state of the stack of secrets. */
export function serviceTokenAddress(token: string): string {
  return `cloudflare_zero_trust_access_service_token.service-token-${token}`;
}
