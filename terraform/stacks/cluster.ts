/**
 * The stack of one cluster: the connector.
 *
 * `kubernetes_manifest` takes the objects of terraform/manifests unchanged. It asks the cluster for their
 * types when it plans, so the cluster must exist, but the namespace need not: there is no dry run of kinds
 * that have a schema (provider's manifest/provider/plan.go). The Secret is a `kubernetes_secret_v1`:
 * `kubernetes_manifest` would show its data in plans.
 */
import { DataCloudflareZeroTrustTunnelCloudflaredToken } from "@cdktf/provider-cloudflare/lib/data-cloudflare-zero-trust-tunnel-cloudflared-token/index.js";
import { TerraformStack } from "cdktf";
import type { Construct } from "constructs";
import { OUTPUT } from "../config/outputs.ts";
import type { DeployedCluster, Deployment } from "../config/schema.ts";
import { clusterStackName, EDGE_STACK } from "../config/stack-names.ts";
import { connectorManifests } from "../manifests/connector.ts";
import { LABELS, namespaceOf, TOKEN_SECRET } from "../manifests/names.ts";
import type { KubernetesObject } from "../manifests/types.ts";
import { outputsOf, type StateOptions, setBackend } from "./backend.ts";
import { demoClusterName } from "./demo.ts";
import { literal } from "./literal.ts";
import { cloudflareProvider, DIGITALOCEAN, KUBERNETES } from "./providers.ts";
import { RawProvider, rawData, rawResource } from "./raw.ts";

/** In the pod's template, so that pods restart for another tunnel: they read its token when they start. */
const TUNNEL_ANNOTATION = "sallyport/tunnel-id";

export class ClusterStack extends TerraformStack {
  constructor(scope: Construct, deployment: Deployment, cluster: DeployedCluster, state: StateOptions) {
    super(scope, clusterStackName(cluster));
    setBackend(this, state);
    new RawProvider(this, "kubernetes", { ...KUBERNETES, config: this.#connection(deployment, cluster) });
    const edge = outputsOf(this, EDGE_STACK, state);
    const tunnelId = `\${${edge(OUTPUT.tunnelIds)}["${cluster.name}"]}`;
    // Asked here, so that this tunnel's token is in this stack's state and in no other.
    cloudflareProvider(this);
    const token = new DataCloudflareZeroTrustTunnelCloudflaredToken(this, "tunnel-token-of-cloudflare", {
      accountId: deployment.account,
      tunnelId,
    });

    const [namespace, ...others] = connectorManifests(deployment, cluster);
    if (!namespace) throw new RangeError("there are no manifests");
    const namespaceResource = rawResource(this, "kubernetes_manifest", "namespace", { manifest: literal(namespace) });
    const secret = rawResource(
      this,
      "kubernetes_secret_v1",
      "tunnel-token",
      {
        metadata: { name: TOKEN_SECRET.name, namespace: namespaceOf(deployment, cluster), labels: LABELS },
        type: "Opaque",
        // So that no plan shows it, whatever the provider's schema says.
        data: { [TOKEN_SECRET.key]: `\${sensitive(${token.fqn}.token)}` },
      },
      [namespaceResource],
    );
    const before = others.filter(({ kind }) => kind !== "Deployment");
    const made = before.map((manifest) =>
      rawResource(this, "kubernetes_manifest", resourceId(manifest), { manifest: literal(manifest) }, [
        namespaceResource,
      ]),
    );
    for (const manifest of others.filter(({ kind }) => kind === "Deployment")) {
      rawResource(
        this,
        "kubernetes_manifest",
        resourceId(manifest),
        {
          manifest: annotated(literal(manifest), { [TUNNEL_ANNOTATION]: tunnelId }),
          // The apply ends when the pods are connected to Cloudflare and reach the API server.
          wait: { rollout: true },
          timeouts: { create: "5m", update: "15m" },
        },
        // Pods that start before their permissions or the network policy exist would have to be restarted.
        [...made, secret],
      );
    }
  }

  /** How the provider reaches the cluster. */
  #connection(deployment: Deployment, { kubeconfig }: DeployedCluster): Readonly<Record<string, unknown>> {
    if (kubeconfig === undefined) throw new RangeError("a cluster without kubeconfig has no stack");
    if (kubeconfig !== "demo") {
      const { path, context } = literal(kubeconfig);
      return { config_path: path, ...(context !== undefined && { config_context: context }) };
    }
    // Read at each plan, because its token lasts a week.
    new RawProvider(this, "digitalocean", { ...DIGITALOCEAN, config: {} });
    rawData(this, "digitalocean_kubernetes_cluster", "demo", { name: demoClusterName(deployment) });
    const data = "data.digitalocean_kubernetes_cluster.demo";
    return {
      host: `\${${data}.endpoint}`,
      token: `\${${data}.kube_config[0].token}`,
      cluster_ca_certificate: `\${base64decode(${data}.kube_config[0].cluster_ca_certificate)}`,
    };
  }
}

/** A resource's address in Terraform's state; never change it. */
function resourceId({ kind }: KubernetesObject): string {
  return kind.replace(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase();
}

function annotated(manifest: KubernetesObject, annotations: Readonly<Record<string, string>>): unknown {
  const { spec } = manifest as unknown as { spec: { template: { metadata: object } } };
  const { template } = spec;
  return { ...manifest, spec: { ...spec, template: { ...template, metadata: { ...template.metadata, annotations } } } };
}
