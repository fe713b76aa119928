/**
 * The connector's manifests on a real cluster: the objects are applied, the proxy runs as in its pod, and the
 * cluster refuses every impersonation that no rule names.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PERSONAS } from "../../dev/access/personas.ts";
import { Kubectl, kubectlPath } from "../../dev/programs/kubectl.ts";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { planPorts } from "../../dev/stack/ports.ts";
import { connectorManifests } from "../../terraform/manifests/connector.ts";
import { PROXY_PORT, TOKEN_SECRET } from "../../terraform/manifests/names.ts";
import type { Deployment, KubernetesObject } from "../../terraform/manifests/types.ts";
import { UPSTREAM_HOST } from "../../worker/upstream/url.ts";
import { clusterInput, deploymentOf, type Identities } from "../support/deployment.ts";
import { adaptToVersion, podOf, proxyContainer, runOnNode } from "./support/connector.ts";
import { runProgram } from "./support/programs.ts";

/** The cluster's administrator. Both variables must be set, so that nobody's own KUBECONFIG is used. */
const { KUBECONFIG: kubeconfig = "", KUBE_TEST_SERVER: server = "" } = process.env;
const hasCluster = kubeconfig !== "" && server !== "";
if (!hasCluster) {
  console.error("SKIP the connector on a real cluster: set KUBECONFIG and KUBE_TEST_SERVER, as .ci/smoke does");
}

/** Unique, because others use the cluster too. */
const name = `connector-${randomBytes(4).toString("hex")}`;
const identities: Identities = [
  {
    ...{ match: { email: PERSONAS.alice.email }, groups: ["developers"], extra: { team: ["sre"] } },
    mayImpersonate: { users: ["trainee"], groups: ["trainees"] },
  },
  { match: { email: PERSONAS.admin.email }, groups: [], roles: ["admin"] },
];
const deployment = deploymentOf({
  name,
  access: {
    teamDomain: "https://example.cloudflareaccess.com",
    allow: [{ emailDomain: "example.com" }],
    admins: [{ email: PERSONAS.admin.email }],
  },
  clusters: [clusterInput("real")],
  sallyport: { identities },
});

describe.skipIf(!hasCluster)("the connector on a real cluster", () => {
  const home = mkdtempSync(join(tmpdir(), "sallyport-connector-"));
  let objects: readonly KubernetesObject[];
  const workload = () => objects.find(({ kind }) => kind === "Deployment") as Deployment;
  let port: number;

  let admin: Kubectl;

  const kubectl = (...args: string[]) => admin.run(...args);
  async function must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await kubectl(...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
    return stdout;
  }
  /**
   * Applies on the server, as Terraform's provider does. kubectl's own validation does not fit an old
   * server's schema.
   */
  const apply = (object: object, ...flags: string[]) =>
    admin.runWithInput(JSON.stringify(object), "apply", "--server-side", "--validate=false", ...flags, "-f", "-");
  /** What the cluster would answer if its Deployment controller created this pod. */
  const tryPod = (workload: Deployment) =>
    admin.runWithInput(JSON.stringify(podOf(workload)), "create", "--dry-run=server", "--validate=false", "-f", "-");

  beforeAll(async () => {
    if (!hasCluster) return;
    const current = ["config", "current-context", `--kubeconfig=${kubeconfig}`];
    admin = new Kubectl(kubeconfig, (await runProgram(kubectlPath(), current, { HOME: home })).stdout.trim(), home);
    const { serverVersion } = JSON.parse(await must("version", "--output=json")) as {
      serverVersion: { minor: string };
    };
    const [cluster] = deployment.clusters;
    if (!cluster) throw new Error("there is no cluster");
    objects = adaptToVersion(Number.parseInt(serverVersion.minor, 10), connectorManifests(deployment, cluster));
    const { worker } = await planPorts(0, { workerSocket: true, second: false });
    port = worker ?? 0;
  });

  afterAll(async () => {
    rmSync(home, { recursive: true, force: true });
    if (!hasCluster) return;
    await kubectl("delete", "clusterrolebinding,clusterrole", `${name}-connector`, "--ignore-not-found");
    await kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false");
  });

  it("the API server takes every object as it is", async () => {
    const [namespace, ...others] = objects;
    expect(await apply(namespace ?? {}, "--dry-run=server")).toMatchObject({ code: 0 });
    // The others are in the namespace, which must exist even for a dry run.
    expect(await apply(namespace ?? {})).toMatchObject({ code: 0 });
    for (const object of others) {
      expect(await apply(object, "--dry-run=server"), object.kind).toMatchObject({ code: 0, stderr: "" });
    }
  });

  it("PodSecurity admits the generated pod under the namespace's own labels", async () => {
    for (const object of objects.filter(({ kind }) => kind !== "Deployment")) {
      expect(await apply(object), object.kind).toMatchObject({ code: 0 });
    }
    expect(await tryPod(workload())).toMatchObject({ code: 0, stderr: "" });
  });

  it("runs, and the proxy's own probe reaches the API server", { timeout: 330_000 }, async () => {
    await must("-n", name, "create", "secret", "generic", TOKEN_SECRET.name, `--from-literal=${TOKEN_SECRET.key}=none`);
    const shell = ["-n", "demo", "get", "pod", "shell"];
    const image = await must(...shell, "-o", "jsonpath={.spec.containers[0].image}");
    const adapted = runOnNode(workload(), { apiServer: new URL(server), image, kubectl: kubectlPath(), port });
    expect(proxyContainer(adapted).args).toEqual(
      proxyContainer(workload()).args.map((arg) => arg.replace(String(PROXY_PORT), String(port))),
    );
    // The adapted pod uses the node's network and one of its files. A cluster with PodSecurity (1.23 and
    // later) forbids that at the generated level, so the test's namespace gets another one.
    const { stderr } = await tryPod(adapted);
    if (stderr.includes("violates PodSecurity")) {
      await must("label", "namespace", name, "--overwrite", "pod-security.kubernetes.io/enforce=privileged");
    }
    expect(await tryPod(adapted)).toMatchObject({ code: 0 });
    expect(await apply(adapted)).toMatchObject({ code: 0 });
    await must("-n", name, "rollout", "status", "deployment/connector", "--timeout=300s");
  });

  it("runs as an unprivileged user, with the account's token in the proxy alone", async () => {
    const inside = (container: string, ...command: string[]) =>
      kubectl("-n", name, "exec", "deploy/connector", "-c", container, "--", ...command);
    const account = "/var/run/secrets/kubernetes.io/serviceaccount";
    expect((await inside("proxy", "sh", "-c", `id -u; ls ${account}`)).stdout).toBe(
      "65532\nca.crt\nnamespace\ntoken\n",
    );
    expect((await inside("cloudflared", "ls", account)).code).not.toBe(0);
    expect((await inside("cloudflared", "cat", "/etc/cloudflared/token")).stdout).toBe("none");
    expect((await inside("proxy", "ls", "/etc/cloudflared")).code).not.toBe(0);
    for (const container of ["proxy", "cloudflared"]) {
      expect((await inside(container, "touch", "/tmp/here")).stderr).toContain("Read-only file system");
    }
  });

  /** Sends a request to the proxy, as the tunnel does. */
  function ask(path: string, headers: Readonly<Record<string, string | string[]>>, body?: string): Promise<Answer> {
    return new Promise((done, failed) => {
      const method = body === undefined ? "GET" : "POST";
      const type = body === undefined ? {} : { "Content-Type": "application/json" };
      const sent = request(
        { host: "127.0.0.1", port, path, method, headers: { Host: UPSTREAM_HOST, ...type, ...headers } },
        (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => {
            text += chunk.toString();
          });
          response.on("end", () => done({ status: response.statusCode ?? 0, text }));
        },
      );
      sent.on("error", failed);
      sent.end(body);
    });
  }
  const account = `system:serviceaccount:${name}:connector`;
  /**
   * @param refusal what the message says of the refused name. A cluster with constrained impersonation
   *   (KEP-5284) says first that it may not impersonate on this request at all, and then names no more than
   *   the request.
   */
  function expectImpersonationRefused(message: string, refusal: RegExp): void {
    expect(message).toMatch(new RegExp(`User "${account}" cannot impersonate`));
    if (!/cannot impersonate(-on)?:/.test(message)) expect(message).toMatch(refusal);
  }

  const PODS = "/api/v1/namespaces/demo/pods?limit=1";
  const alice = { "Impersonate-User": PERSONAS.alice.email };
  const asDeveloper = { ...alice, "Impersonate-Group": "developers" };

  it("lets the Worker impersonate whom a rule names, with the session's id", async () => {
    const session = { "Impersonate-Extra-sallyport-session": "any-id", "Impersonate-Uid": "a-subject" };
    expect(await ask(PODS, { ...asDeveloper, ...session, "Impersonate-Extra-team": "sre" })).toMatchObject({
      status: 200,
    });
    // The API server adds system:authenticated itself. The rest is RBAC's decision.
    expect(await ask("/api/v1/nodes", asDeveloper)).toMatchObject({
      status: 403,
      text: expect.stringContaining(`User \\"${PERSONAS.alice.email}\\" cannot list`) as string,
    });
  });

  it.each<[string, Readonly<Record<string, string | string[]>>, RegExp]>([
    ["system:masters", { ...alice, "Impersonate-Group": "system:masters" }, /cannot impersonate resource .*groups/],
    [
      "system:masters among named groups",
      { ...alice, "Impersonate-Group": ["developers", "system:masters"] },
      /cannot impersonate resource .*groups/,
    ],
    [
      "a group that no rule gives",
      { ...alice, "Impersonate-Group": "viewers" },
      /cannot impersonate resource .*groups/,
    ],
    ["a user that no rule gives", { "Impersonate-User": "mallory@example.net" }, /cannot impersonate resource .*users/],
    [
      "the controller manager",
      { "Impersonate-User": "system:kube-controller-manager" },
      /cannot impersonate resource .*users/,
    ],
    [
      "a service account",
      { "Impersonate-User": "system:serviceaccount:kube-system:default" },
      /cannot impersonate resource .*serviceaccounts/,
    ],
    [
      "an extra that no rule gives",
      { ...asDeveloper, "Impersonate-Extra-scopes": "all" },
      /cannot impersonate resource .*userextras\/scopes/,
    ],
    [
      "another value of an extra",
      { ...asDeveloper, "Impersonate-Extra-team": "finance" },
      /cannot impersonate resource .*userextras\/team/,
    ],
  ])("the cluster refuses to let it impersonate %s", async (_what, headers, refusal) => {
    const { status, text } = await ask(PODS, headers);
    expect(status).toBe(403);
    expectImpersonationRefused((JSON.parse(text) as { message: string }).message, refusal);
  });

  it("has no rights of its own: requests without impersonation are refused", async () => {
    for (const path of [PODS, "/api/v1/secrets", "/api/v1/namespaces"]) {
      const { status, text } = await ask(path, {});
      expect(status, path).toBe(403);
      expect(text).toContain(account);
    }
  });

  it.each(["127.0.0.1", "evil.example", "localhost.evil.example", "kubernetes.default.svc"])(
    "refuses the Host %s",
    async (host) => {
      expect(await ask(PODS, { ...asDeveloper, Host: host })).toMatchObject({ status: 403, text: "Forbidden\n" });
    },
  );

  it("listens on loopback only", async () => {
    const listening = await kubectl("-n", name, "exec", "deploy/connector", "-c", "proxy", "--", "netstat", "-tln");
    const addresses = listening.stdout.split("\n").filter((line) => line.includes(`:${port} `));
    expect(addresses.map((line) => line.trim().split(/\s+/)[3])).toEqual([`127.0.0.1:${port}`]);
  });

  describe("behind the Worker", () => {
    let stack: Stack;
    beforeAll(async () => {
      if (!hasCluster) return;
      stack = await startStack({
        ...{ stateDir: join(home, "state"), port: 0, upstream: `http://127.0.0.1:${port}`, quiet: true },
        config: { identities },
      });
    });
    afterAll(() => stack?.stop());
    const person = () => new Kubectl(stack.kubeconfig, "alice", home);

    it("kubectl reads, runs a command and copies its input", async () => {
      expect((await person().run("get", "pods", "-o", "name")).stdout).toContain("pod/shell");
      expect(await person().run("exec", "shell", "--", "sh", "-c", "echo inside; exit 7")).toMatchObject({
        code: 7,
        stdout: "inside\n",
      });
      const echoed = await person().runWithInput("through all of it\n", "exec", "-i", "shell", "--", "cat");
      expect(echoed.stdout).toBe("through all of it\n");
    });

    it("kubectl --as has fewer groups, or another identity that the rule names", async () => {
      const list = (...flags: string[]) => person().run("get", "--raw", PODS, ...flags);
      const own = `--as=${PERSONAS.alice.email}`;
      expect((await list(own, "--as-group=developers")).code).toBe(0);
      expect((await list(own)).stderr).toContain(`User "${PERSONAS.alice.email}" cannot list resource "pods"`);
      expect((await list("--as=trainee", "--as-group=trainees")).stderr).toContain(
        'User "trainee" cannot list resource "pods"',
      );
      expect((await person().run("exec", "shell", own, "--as-group=developers", "--", "echo", "fewer")).stdout).toBe(
        "fewer\n",
      );
      const allowed = await person().run("auth", "can-i", "--list", own);
      expect(allowed.stdout).toContain("selfsubjectaccessreviews.authorization.k8s.io");
      expect(allowed.stdout).not.toContain("pods/exec");
    });

    it("the cluster refuses a group that the Worker gives and the connector's role does not name", async () => {
      const wider = await startStack({
        ...{ stateDir: join(home, "wider"), port: 0, upstream: `http://127.0.0.1:${port}`, quiet: true },
        // As if the Worker were deployed with another rule, or compromised.
        config: { identities: [{ match: { email: PERSONAS.alice.email }, groups: ["viewers"] }] },
      });
      try {
        // --raw, because kubectl get begins with discovery, and client-go does not show why that was refused.
        const somebody = new Kubectl(wider.kubeconfig, "alice", home);
        const { code, stderr } = await somebody.run("get", "--raw", PODS);
        expect(code).toBe(1);
        expectImpersonationRefused(stderr, /cannot impersonate resource "groups"/);
      } finally {
        await wider.stop();
      }
    });

    it("leaves no trace of requests in the proxy's log", async () => {
      const secret = `secret-${randomBytes(8).toString("hex")}`;
      const body = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { secret } });
      expect((await ask("/api/v1/namespaces/demo/configmaps", asDeveloper, body)).status).toBe(201);
      await must("-n", "demo", "delete", "configmap", name);
      const log = await must("-n", name, "logs", "deploy/connector", "-c", "proxy");
      expect(log).toContain(`Starting to serve on 127.0.0.1:${port}`);
      expect(log).not.toContain(secret);
      expect(log).not.toMatch(/impersonate|bearer|configmaps/i);
    });
  });
});

interface Answer {
  readonly status: number;
  readonly text: string;
}
