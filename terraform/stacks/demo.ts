/**
 * The stack of the demo cluster, like Cloudflare's public example: DigitalOcean Kubernetes in a VPC of its
 * own.
 */
import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import type { Demo } from "../config/demo.ts";
import type { Deployment } from "../config/schema.ts";
import { DEMO_STACK } from "../config/stack-names.ts";
import { addOutput, type StateOptions, setBackend } from "./backend.ts";
import { DIGITALOCEAN } from "./providers.ts";
import { RawProvider, rawData, rawResource } from "./raw.ts";

export function demoClusterName({ name }: Deployment): string {
  return `${name}-demo`;
}

export class DemoStack extends TerraformStack {
  constructor(scope: Construct, deployment: Deployment, { digitalocean }: Demo, state: StateOptions) {
    super(scope, DEMO_STACK);
    setBackend(this, state);
    // The provider reads its token from DIGITALOCEAN_TOKEN.
    new RawProvider(this, "digitalocean", { ...DIGITALOCEAN, config: {} });
    const { region, version, nodes, nodeSize, ipRange } = digitalocean;
    const name = demoClusterName(deployment);
    const vpc = rawResource(this, "digitalocean_vpc", "vpc", { name, region, ip_range: ipRange });
    const versions = rawData(this, "digitalocean_kubernetes_versions", "versions", { version_prefix: `${version}.` });
    const cluster = rawResource(this, "digitalocean_kubernetes_cluster", "cluster", {
      name,
      region,
      version: versions.getStringAttribute("latest_version"),
      vpc_uuid: vpc.getStringAttribute("id"),
      auto_upgrade: true,
      surge_upgrade: true,
      // Volumes and load balancers that the cluster created cost money: they are destroyed with it.
      destroy_all_associated_resources: true,
      maintenance_policy: { day: "sunday", start_time: "04:00" },
      node_pool: { name: "workers", size: nodeSize, node_count: nodes },
      // The cluster upgrades itself, so the newest patch differs from the one it was created with.
      lifecycle: { ignore_changes: ["version"] },
    });
    addOutput(this, "cluster_id", cluster.getStringAttribute("id"));
    addOutput(this, "cluster_name", name);
  }
}
