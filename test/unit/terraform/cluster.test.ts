import { describe, expect, it } from "vitest";
import { connectorManifests } from "../../../terraform/manifests/connector.ts";
import { literal } from "../../../terraform/stacks/literal.ts";
import { ACCOUNT, clusterInput, deploymentOf, synthesize } from "../../support/deployment.ts";

describe("a cluster's stack", () => {
  const deployment = deploymentOf();
  const stack = synthesize(deployment)["cluster-prod"];
  const manifests = stack?.resource["kubernetes_manifest"] ?? {};

  it("applies the objects that npx sallyport manifests prints, and only those", () => {
    const [cluster] = deployment.clusters;
    if (!cluster) throw new Error("there is no cluster");
    const applied = Object.values(manifests).map(({ manifest }) => {
      const copy = structuredClone(manifest) as { spec?: { template?: { metadata?: { annotations?: object } } } };
      // Terraform adds only the tunnel's id, so that another tunnel replaces the pods.
      delete copy.spec?.template?.metadata?.annotations;
      return copy;
    });
    const printed = connectorManifests(deployment, cluster);
    expect(applied).toHaveLength(printed.length);
    for (const object of printed) expect(applied).toContainEqual(object);
  });

  it("asks Cloudflare for its tunnel's token, and shows it nowhere", () => {
    expect(stack?.data?.["cloudflare_zero_trust_tunnel_cloudflared_token"]).toEqual({
      "tunnel-token-of-cloudflare": {
        account_id: ACCOUNT,
        tunnel_id: '${data.terraform_remote_state.edge.outputs.tunnel_ids["prod"]}',
      },
    });

    expect(stack?.resource["kubernetes_secret_v1"]).toEqual({
      "tunnel-token": {
        metadata: expect.objectContaining({ name: "tunnel-token", namespace: "sallyport" }) as unknown,
        type: "Opaque",
        data: {
          token: "${sensitive(data.cloudflare_zero_trust_tunnel_cloudflared_token.tunnel-token-of-cloudflare.token)}",
        },
        depends_on: ["kubernetes_manifest.namespace"],
      },
    });
    expect(JSON.stringify(manifests)).not.toContain("tunnel_cloudflared_token");
  });

  it("creates pods last, when all they need exists, and waits until they are ready", () => {
    expect(manifests["deployment"]?.["depends_on"]).toEqual([
      "kubernetes_manifest.service-account",
      "kubernetes_manifest.cluster-role",
      "kubernetes_manifest.cluster-role-binding",
      "kubernetes_manifest.network-policy",
      "kubernetes_manifest.pod-disruption-budget",
      "kubernetes_secret_v1.tunnel-token",
    ]);
    expect(manifests["deployment"]?.["wait"]).toEqual({ rollout: true });
    expect(manifests["service-account"]?.["depends_on"]).toEqual(["kubernetes_manifest.namespace"]);
  });

  it("replaces the pods when the tunnel changes", () => {
    expect(manifests["deployment"]).toMatchObject({
      manifest: {
        spec: {
          template: {
            metadata: {
              annotations: { "sallyport/tunnel-id": '${data.terraform_remote_state.edge.outputs.tunnel_ids["prod"]}' },
            },
          },
        },
      },
    });
  });

  it("reaches the cluster by the kubeconfig", () => {
    expect(stack?.provider).toEqual({
      cloudflare: [{}],
      kubernetes: [{ config_path: "~/.kube/config", config_context: "prod" }],
    });
    expect(stack?.terraform.required_providers["kubernetes"]).toEqual({
      source: "hashicorp/kubernetes",
      version: ">= 3.0, < 4",
    });
  });

  it("does not exist for a cluster without a kubeconfig", () => {
    const { kubeconfig: _, ...byGitOps } = clusterInput("ops");
    const stacks = synthesize(deploymentOf({ clusters: [clusterInput("prod"), byGitOps] }));
    expect(new Set(Object.keys(stacks))).toEqual(new Set(["cluster-prod", "edge", "secrets"]));
  });

  it("names namespaces and roles after the deployment, so that two deployments can share a cluster", () => {
    const other =
      synthesize(deploymentOf({ name: "sallyport-eu" }))["cluster-prod"]?.resource["kubernetes_manifest"] ?? {};
    expect(other["namespace"]).toMatchObject({ manifest: { metadata: { name: "sallyport-eu" } } });
    expect(other["cluster-role"]).toMatchObject({ manifest: { metadata: { name: "sallyport-eu-connector" } } });
    expect(other["cluster-role-binding"]).toMatchObject({
      manifest: { subjects: [{ kind: "ServiceAccount", name: "connector", namespace: "sallyport-eu" }] },
    });
  });
});

describe("names that look like Terraform's templates", () => {
  const evil = '${file("/etc/passwd")}';

  it("reach the cluster unchanged, and Terraform does not evaluate them", () => {
    const identities = [{ match: { email: "alice@example.com" }, groups: [evil, "%{if(true)}"] }];
    const stack = synthesize(deploymentOf({ sallyport: { identities }, access: accessWithoutTokens }))["cluster-prod"];
    expect(stack?.resource["kubernetes_manifest"]?.["cluster-role"]).toMatchObject({
      manifest: {
        rules: [{ resources: ["groups"], resourceNames: ['$${file("/etc/passwd")}', "%%{if(true)}"] }, {}, {}, {}],
      },
    });
    expect(JSON.stringify(stack)).not.toMatch(/[^$]\$\{file/);
  });

  const accessWithoutTokens = {
    teamDomain: "https://example.cloudflareaccess.com",
    allow: [{ email: "alice@example.com" }],
    admins: [{ email: "alice@example.com" }],
  };

  it("are escaped in keys and lists as well", () => {
    expect(literal({ [evil]: [evil, 1, null, { a: "plain $ { }" }] })).toEqual({
      [`$${evil}`]: [`$${evil}`, 1, null, { a: "plain $ { }" }],
    });
  });
});

describe("the demo cluster", () => {
  const demo = { digitalocean: { region: "fra1", version: "1.36" } };

  it("is off by default", () => {
    expect(new Set(Object.keys(synthesize(deploymentOf())))).toEqual(new Set(["cluster-prod", "edge", "secrets"]));
  });

  it("has a VPC of its own, and is destroyed with everything that it created", () => {
    const { demo: stack } = synthesize(deploymentOf({ demo }));
    expect(stack?.resource["digitalocean_vpc"]?.["vpc"]).toEqual({
      name: "sallyport-demo",
      region: "fra1",
      ip_range: "10.110.0.0/20",
    });
    expect(stack?.resource["digitalocean_kubernetes_cluster"]?.["cluster"]).toMatchObject({
      vpc_uuid: "${digitalocean_vpc.vpc.id}",
      version: "${data.digitalocean_kubernetes_versions.versions.latest_version}",
      destroy_all_associated_resources: true,
      node_pool: { node_count: 3, size: "s-2vcpu-4gb" },
    });
    expect(stack?.data?.["digitalocean_kubernetes_versions"]?.["versions"]).toEqual({ version_prefix: "1.36." });
  });

  it("gives its cluster's stack current credentials at each plan", () => {
    const stack = synthesize(deploymentOf({ demo, clusters: [clusterInput("try", { kubeconfig: "demo" })] }))[
      "cluster-try"
    ];
    expect(stack?.data?.["digitalocean_kubernetes_cluster"]?.["demo"]).toEqual({ name: "sallyport-demo" });
    expect(stack?.provider["kubernetes"]).toEqual([
      {
        host: "${data.digitalocean_kubernetes_cluster.demo.endpoint}",
        token: "${data.digitalocean_kubernetes_cluster.demo.kube_config[0].token}",
        cluster_ca_certificate:
          "${base64decode(data.digitalocean_kubernetes_cluster.demo.kube_config[0].cluster_ca_certificate)}",
      },
    ]);
  });
});
