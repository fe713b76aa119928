/**
 * Break-glass, and the doctor's checks of a cluster, on a real one: the connector's generated service
 * account, a token for one person, and the cluster's audit log.
 */
import { execFile } from "node:child_process";
import { randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubectlPath } from "../../dev/programs/kubectl.ts";
import { parseDeployment } from "../../terraform/config/load.ts";
import { connectorManifests } from "../../terraform/manifests/connector.ts";
import { GRANT_LABEL } from "../../tools/break-glass/grant.ts";
import { issueGrant } from "../../tools/break-glass/issue-grant.ts";
import { parseOutputs } from "../../tools/deployment/outputs.ts";
import type { PlannedCluster } from "../../tools/deployment/plan.ts";
import { planOf } from "../../tools/deployment/project.ts";
import { type Check, runChecks } from "../../tools/doctor/check.ts";
import { clusterDate } from "../../tools/doctor/checks/cluster/api-server.ts";
import { ClusterView } from "../../tools/doctor/checks/cluster/cluster-view.ts";
import { impersonationCheck, roleCheck } from "../../tools/doctor/checks/cluster/permissions.ts";
import { type Kubectl, kubectlProcess } from "../../tools/ports/kubectl.ts";
import { deploymentText, outputsText } from "../support/planned.ts";
import { AuditTail, realCluster } from "./support/real-cluster.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const cluster = realCluster("break-glass on a real cluster");
const adminPath = process.env["KUBECONFIG"];
/** Unique names: the cluster is shared. */
const run = randomBytes(4).toString("hex");
const NAME = `break-glass-${run}`;
const EMAIL = `alice-${run}@acme.test`;

describe.skipIf(!cluster || !adminPath)("on a real cluster", () => {
  const home = mkdtempSync(join(tmpdir(), "sallyport-break-glass-"));
  const config = join(home, "deployment.jsonc");
  const kubectl = kubectlProcess(kubectlPath());
  const target = { path: adminPath ?? "", context: undefined };
  const admin = (args: string[], input?: string) => kubectl(target, args, input);
  let planned: PlannedCluster;
  let audit: AuditTail;

  beforeAll(async () => {
    if (!cluster) return;
    const text = deploymentText({
      name: NAME,
      clusters: [
        {
          name: "prod",
          hostnames: ["prod.k8s.acme.test"],
          kubeconfig: { path: target.path },
          apiServer: { cidrs: ["10.0.0.1/32"] },
        },
      ],
      sallyport: { identities: [{ match: { email: EMAIL }, groups: ["developers"] }] },
    });
    writeFileSync(config, text);
    const deployment = parseDeployment(text, config);
    const [first] = planOf(deployment, parseOutputs(outputsText({ deployment: NAME }), "outputs")).clusters;
    const [own] = deployment.clusters;
    if (!first || !own) throw new Error("there is no cluster in the plan");
    planned = first;
    // Everything but the pods, whose image is not available here.
    const wanted = new Set(["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"]);
    const items = connectorManifests(deployment, own).filter(({ kind }) => wanted.has(kind));
    const made = await admin(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    expect(made, made.stderr).toMatchObject({ code: 0 });
    audit = new AuditTail(cluster.auditLog, run);
  });
  afterAll(async () => {
    audit?.close();
    if (cluster) {
      await admin(["delete", "clusterrole,clusterrolebinding", `${NAME}-connector`, "--ignore-not-found"]);
      await admin(["delete", "clusterrolebinding", `${NAME}-more`, "--ignore-not-found"]);
      await admin(["delete", "namespace", NAME, "--ignore-not-found", "--wait=false"]);
    }
    rmSync(home, { recursive: true, force: true });
  });

  function command(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((done) => {
      const env = { PATH: process.env["PATH"], HOME: home, KUBECTL: kubectlPath() };
      const all = ["tools/sallyport.js", "break-glass", "--config", config, "--cluster", "prod", ...args];
      execFile(process.execPath, all, { cwd: ROOT, env }, (error, stdout, stderr) => {
        done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
      });
    });
  }

  async function examine(...checks: ((view: ClusterView) => Check)[]) {
    const view = new ClusterView(planned, { kubectl });
    const results = await runChecks(checks.map((make) => make(view)));
    return results.map(({ status, message }) => `${status}: ${message}`);
  }
  const impersonation = (view: ClusterView) => impersonationCheck(planned, view, { nonce: () => run });
  const role = (view: ClusterView) => roleCheck(planned, view);

  it("the doctor passes the generated account and role, and reads the cluster's clock", async () => {
    expect(await examine(impersonation, role)).toEqual([
      "ok: its account may impersonate 1 users and 1 groups, and nothing else",
      "ok: the ClusterRole is the generated one",
    ]);
    const before = Date.now();
    const shown = Date.parse((await clusterDate(new ClusterView(planned, { kubectl }))) ?? "");
    // The header Date has whole seconds.
    expect(shown).toBeGreaterThan(before - 1_000);
    expect(shown).toBeLessThanOrEqual(Date.now());
  });

  it("the doctor finds another binding of the account, and a role that was changed by hand", async () => {
    const account = `--serviceaccount=${NAME}:connector`;
    await admin(["create", "clusterrolebinding", `${NAME}-more`, "--clusterrole=cluster-admin", account]);
    const [finding = ""] = await examine(impersonation);
    expect(finding).toMatch(/^fail: its account may impersonate the group system:masters, .*read secrets itself/);
    await admin(["delete", "clusterrolebinding", `${NAME}-more`]);
    const name = `${NAME}-connector`;
    const before = (await admin(["get", "clusterrole", name, "-o", "jsonpath={.rules}"])).stdout;
    const more = [
      ...(JSON.parse(before) as object[]),
      { apiGroups: [""], resources: ["groups"], verbs: ["impersonate"] },
    ];
    await admin(["patch", "clusterrole", name, "--type=merge", "-p", JSON.stringify({ rules: more })]);
    expect(await examine(impersonation, role)).toEqual([
      expect.stringMatching(
        /^fail: its account may impersonate the group system:masters, impersonate a group that no rule/,
      ),
      expect.stringMatching(/^fail: the ClusterRole .* is not the one generated/),
    ]);
    await admin(["patch", "clusterrole", name, "--type=merge", "-p", `{"rules":${before}}`]);
    expect(await examine(impersonation, role)).toEqual([expect.stringMatching(/^ok/), expect.stringMatching(/^ok/)]);
  });

  it("a token admits the person with the names that Sallyport gives, and both audit logs show it", async () => {
    const out = join(home, "alice.kubeconfig");
    const given = await command(
      "--user",
      EMAIL,
      "--reason",
      "INC-17: Access is down",
      "--method",
      "token",
      "--out",
      out,
    );
    expect(given.stderr).toBe("");
    expect(given.code).toBe(0);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const id = /configmap\/break-glass-(bg\w+)/.exec(given.stdout)?.[1];
    const asAlice = (...args: string[]) => kubectl({ path: out, context: undefined }, args);
    expect(await asAlice("get", "pods", "-n", "demo", "-o", "name")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("pod/shell"),
    });
    expect((await asAlice("get", "secrets", "-n", "kube-system")).stderr).toMatch(
      new RegExp(`User "${EMAIL}" cannot list resource "secrets"`),
    );
    await expect
      .poll(() =>
        audit.read().some(({ impersonatedUser }) => impersonatedUser?.extra?.["sallyport-session"]?.[0] === id),
      )
      .toBe(true);
    const seen = audit.read().find(({ requestURI }) => requestURI.includes("/namespaces/demo/pods"));
    expect(seen?.user.username).toBe(`system:serviceaccount:${NAME}:connector`);
    expect(seen?.impersonatedUser?.username).toBe(EMAIL);
    expect(seen?.impersonatedUser?.groups).toContain("developers");
    const { stdout } = await command("--list");
    expect(stdout).toMatch(new RegExp(`^${id} .* ${EMAIL} {2}token by .*: INC-17: Access is down\n$`));
    // Whoever may write ConfigMaps in the connector's namespace can forge one.
    const name = "break-glass-bg999999999999";
    const real = await admin(["get", "configmap", `break-glass-${id}`, "-n", NAME, "-o", "json"]);
    const { data } = JSON.parse(real.stdout) as { data: Record<string, string> };
    const forged = {
      ...{
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name, namespace: NAME, labels: { [GRANT_LABEL]: "true" } },
      },
      data: { ...data, id: "bg999999999999", reason: "\u001b]0;owned\u0007" },
    };
    expect(await admin(["create", "-f", "-"], JSON.stringify(forged))).toMatchObject({ code: 0 });
    const listed = (await command("--list")).stdout;
    expect(listed.split("\n")).toEqual([
      expect.stringMatching(new RegExp(`^${id} `)),
      `not verified: configmap/${name}: its seal is not valid. The cluster's audit log says who wrote it.`,
      "",
    ]);
    await admin(["delete", "configmap", name, "-n", NAME]);
    // An existing file is never overwritten.
    expect((await command("--user", EMAIL, "--reason", "again", "--method", "token", "--out", out)).stderr).toContain(
      "exists: choose another --out",
    );
  });

  it("the file's holder can impersonate no other user or group, and not use the account itself", async () => {
    const out = join(home, "attack.kubeconfig");
    await command("--user", EMAIL, "--reason", "an attack", "--method", "token", "--out", out);
    chmodSync(out, 0o600);
    const document = JSON.parse(readFileSync(out, "utf8")) as { users: [{ user: Record<string, unknown> }] };
    const attempt = async (change: Record<string, unknown>) => {
      const user = { ...document.users[0].user, ...change };
      writeFileSync(out, JSON.stringify({ ...document, users: [{ ...document.users[0], user }] }));
      return kubectl({ path: out, context: undefined }, ["get", "pods", "-n", "demo"]);
    };
    for (const change of [
      { "as-groups": ["developers", "system:masters"] },
      { "as-groups": ["viewers"] },
      { as: "bob@acme.test" },
      { as: "system:kube-controller-manager" },
      { as: `system:serviceaccount:${NAME}:connector` },
      { "as-user-extra": { team: ["core"] } },
      { as: undefined, "as-groups": undefined, "as-user-extra": undefined },
    ]) {
      const { code, stderr } = await attempt(change);
      expect(code, JSON.stringify(change)).toBe(1);
      expect(stderr, JSON.stringify(change)).toContain("Forbidden");
    }
    expect((await attempt({})).code).toBe(0);
  });

  it("a person without an identity rule gets no access, and nobody gets it for a day", async () => {
    const unknown = await command("--user", "mallory@acme.test", "--reason", "x");
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("no rule here gives mallory@acme.test") });
    const long = await command("--user", EMAIL, "--reason", "x", "--for", "24h");
    expect(long.stderr).toContain("--for must be from 10m to 8h");
    expect((await command("--user", EMAIL, "--for", "soon")).code).toBe(2);
  });

  it("a cluster that would sign for a year is asked to sign nothing", async () => {
    const { stderr, code } = await command("--user", EMAIL, "--reason", "x");
    const { gitVersion } = JSON.parse((await admin(["get", "--raw", "/version"])).stdout) as { gitVersion: string };
    if (/^v1\.(1\d|20|21)\./.test(gitVersion)) expect(stderr).toContain("would sign a certificate for a year");
    else expect(code).toBe(0);
  });

  it("never writes a certificate that lasts longer than requested, whatever the cluster signs", async () => {
    // Like a cluster that ignores `expirationSeconds`: it signs for as long as it is configured to, or
    // nothing at all.
    const ignoring: Kubectl = async (of, args, input) => {
      if (args.join(" ") === "get --raw /version") return { code: 0, stdout: '{"gitVersion":"v1.36.2"}', stderr: "" };
      return kubectl(of, args, input?.replace(/"expirationSeconds":\d+,/, ""));
    };
    const from = Date.now();
    const grant = {
      ...{ id: `bg${randomBytes(6).toString("hex")}`, cluster: "prod", reason: "a test", by: "a test" },
      identity: { name: EMAIL, user: EMAIL, groups: ["developers"] },
      ...{ method: "certificate" as const, from, until: from + 3_600_000 },
    };
    const access = { target, namespace: NAME, serviceAccount: "connector" };
    // The clock runs ten times as fast: a cluster that signs does so at once.
    let waited = 0;
    const dependencies = {
      kubectl: ignoring,
      now: () => from + waited,
      wait: async (ms: number) => {
        waited += 10 * ms;
        await wait(ms);
      },
    };
    const issued = await issueGrant(grant, access, dependencies).catch((error: Error) => error);
    await admin(["delete", "csr", `break-glass-${grant.id}`]);
    if (issued instanceof Error) {
      expect(issued.message).toMatch(/the certificate lasts until .*its key is discarded|signs no client certificates/);
    } else {
      // This cluster is configured to sign for no longer than an hour.
      const { users } = JSON.parse(issued) as { users: [{ user: { "client-certificate-data": string } }] };
      const certificate = new X509Certificate(Buffer.from(users[0].user["client-certificate-data"], "base64"));
      expect(Date.parse(certificate.validTo)).toBeLessThanOrEqual(grant.until + 600_000);
    }
  });
});
