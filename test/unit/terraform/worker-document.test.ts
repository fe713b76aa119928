import { describe, expect, it } from "vitest";
import { bindingOf, tcpBindingOf, workerDocument } from "../../../terraform/config/worker-document.ts";
import { loadConfig } from "../../../worker/config/load.ts";
import { clusterInput, deploymentInput, deploymentOf, IDENTITIES } from "../../support/deployment.ts";

const outputs = {
  access_audience: "app-1",
  admin_audience: "admin-1",
  access_audiences: ["app-1", "app-2"],
  admin_audiences: ["admin-1", "admin-2"],
  service_token_client_ids: { ci: "2f1a.access" },
};

describe("the Worker's configuration", () => {
  it("is valid for the Worker, and contains the edge stack's outputs", () => {
    const config = loadConfig(workerDocument(deploymentOf(), outputs));
    expect(config.access).toMatchObject({
      teamDomain: "https://example.cloudflareaccess.com",
      adminAudiences: ["admin-1", "admin-2"],
      groups: { claim: "custom.groups" },
    });
    expect(config.clusters).toMatchObject([
      { name: "prod", hostnames: ["prod.k8s.example.com", "prod-ci.k8s.example.com"], binding: "KUBE_API_PROD" },
    ]);
  });

  it("accepts the tokens of the application for service tokens", () => {
    const document = workerDocument(deploymentOf(), { ...outputs, service_token_audiences: ["ci-1"] });
    expect(document.access.audiences).toContain("ci-1");
    expect(document.access.adminAudiences).not.toContain("ci-1");
    expect(document.access.serviceAudiences).toEqual(["ci-1"]);
  });

  it("accepts the admin application's tokens, because a request to the admin API has no other", () => {
    expect(workerDocument(deploymentOf(), outputs).access.audiences).toEqual(["app-1", "app-2", "admin-1", "admin-2"]);
    const { access_audience, admin_audience } = outputs;
    const document = workerDocument(deploymentOf(), {
      ...outputs,
      access_audience,
      admin_audience,
      access_audiences: undefined,
      admin_audiences: undefined,
    });
    expect(document.access).toMatchObject({ audiences: ["app-1", "admin-1"], adminAudiences: ["admin-1"] });
  });

  it("says whether Access signs people in by OAuth, for the kubeconfigs that the edge returns", () => {
    const { access } = deploymentInput();
    expect(loadConfig(workerDocument(deploymentOf(), outputs)).access.managedOAuth).toBe(true);
    const without = deploymentOf({ access: { ...access, oauth: { enabled: false } } });
    expect(loadConfig(workerDocument(without, outputs)).access.managedOAuth).toBe(false);
  });

  it("replaces a service token's name by its client id, and keeps other client ids", () => {
    const identities = [...IDENTITIES, { match: { serviceToken: "77.access" }, user: "cd", groups: [] }];
    const { identities: rules } = workerDocument(deploymentOf({ sallyport: { identities } }), outputs);
    expect(rules.map(({ match }) => match.serviceToken)).toEqual([undefined, "2f1a.access", "77.access"]);
  });

  it("does so in grants, too, and keeps what else they have as it was written", () => {
    const grant = { name: "g", gives: { groups: ["admins"] }, approvers: { users: ["lead@example.com"] } };
    const matches = [{ serviceToken: "ci" }, { group: "g-1" }];
    const sallyport = { identities: IDENTITIES, grants: [{ ...grant, for: matches }] };
    expect(workerDocument(deploymentOf({ sallyport }), outputs).grants).toEqual([
      { ...grant, for: [{ serviceToken: "2f1a.access" }, { group: "g-1" }] },
    ]);
    expect(workerDocument(deploymentOf(), outputs)).not.toHaveProperty("grants");
  });

  it("requires a client id of every service token", () => {
    const without = { ...outputs, service_token_client_ids: {} };
    expect(() => workerDocument(deploymentOf(), without)).toThrow(
      /the service token ci has no client id: apply the edge stack/,
    );
  });

  it("has no defaults, because the Worker fills them in", () => {
    const document = workerDocument(
      deploymentOf({ sallyport: { identities: IDENTITIES, limits: { maxSessionsPerUser: 2 } } }),
      outputs,
    );
    expect(document.limits).toEqual({ maxSessionsPerUser: 2 });
    expect(document.identities[1]).toEqual({
      match: { serviceToken: "2f1a.access" },
      user: "ci-deployer",
      groups: ["deployers"],
    });
    expect(document).not.toHaveProperty("recording");
  });

  it("omits what only Terraform needs", () => {
    const text = JSON.stringify(workerDocument(deploymentOf(), outputs));
    expect(text).not.toMatch(/kubeconfig|apiServer|"connector"|retentionDays|account/);
  });

  it("closes the namespace that each cluster's connector runs in", () => {
    const clusters = [clusterInput("prod"), clusterInput("dev", { connector: { namespace: "gate" } })];
    const deployment = deploymentOf({ clusters });
    const config = loadConfig(workerDocument(deployment, outputs));
    expect(config.clusters.map(({ connectorNamespace }) => connectorNamespace)).toEqual([deployment.name, "gate"]);
  });

  it("has a cluster's own identities and rules", () => {
    const own = [{ match: { email: "bob@example.com" }, groups: ["dev"] }];
    const rules = [{ name: "read only", match: { verbs: ["delete"] }, action: "refuse" as const }];
    const clusters = [clusterInput("prod"), clusterInput("dev-eu", { identities: own, rules })];
    const config = loadConfig(workerDocument(deploymentOf({ clusters }), outputs));
    expect(config.clusters[1]).toMatchObject({
      binding: "KUBE_API_DEV_EU",
      identities: [{ groups: ["dev"] }],
      rules: [{ name: "read only" }],
    });
  });

  it("has binding names that are identifiers, and never another cluster's", () => {
    expect(bindingOf("prod-eu-1")).toBe("KUBE_API_PROD_EU_1");
    expect(tcpBindingOf("prod-eu-1")).toBe("KUBE_TCP_PROD_EU_1");
    expect(tcpBindingOf("prod")).not.toBe(bindingOf("prod-tcp"));
  });

  describe("leads sessions to a cluster", () => {
    const upstreamWith = (
      transport: "auto" | "tcp" | "websocket" | undefined,
      ids: Record<string, string> | undefined,
    ) => {
      const cluster = clusterInput("prod", transport === undefined ? {} : { transport });
      const made = { ...outputs, vpc_tcp_service_ids: ids };
      return loadConfig(workerDocument(deploymentOf({ clusters: [cluster] }), made)).clusters[0]?.upstream;
    };
    const made = { prod: "a-service" };

    it.each(["auto", "tcp"] as const)(
      "over TCP with transport %s, through the service that Terraform made",
      (transport) => {
        const upstream = { transport, tcpBinding: "KUBE_TCP_PROD", address: "127.0.0.1:8001" };
        expect(upstreamWith(transport, made)).toEqual(upstream);
      },
    );

    it("over TCP where the deployment file does not say", () => {
      expect(upstreamWith(undefined, made)).toMatchObject({ transport: "auto", tcpBinding: "KUBE_TCP_PROD" });
    });

    it.each([undefined, {}, { other: "a-service" }])("by WebSocket where Terraform has made no service: %j", (ids) => {
      expect(upstreamWith("auto", ids)).toMatchObject({ transport: "auto", tcpBinding: null });
    });

    it("by WebSocket where the deployment file says so, also while the service is still there", () => {
      expect(upstreamWith("websocket", made)).toMatchObject({ transport: "websocket", tcpBinding: null });
    });

    it("not at all with transport tcp and without the service", () => {
      const message = "the cluster prod has the transport tcp, but no VPC service for it: apply the edge stack";
      expect(() => upstreamWith("tcp", {})).toThrow(new RangeError(message));
    });
  });
});
