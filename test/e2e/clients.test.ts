/**
 * Clients other than the repository's kubectl, through the whole local stack: another kubectl, helm, client
 * libraries.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { Attach, CoreV1Api, Exec, KubeConfig, PortForward, type V1Status, Watch } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Finished, Kubectl, type Running } from "../../dev/programs/kubectl.ts";
import { type Row, sessionWhere } from "./support/audit-log.ts";
import { otherKubectl } from "./support/kubectl.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { findPython, Helm, runProgram } from "./support/programs.ts";

const other = otherKubectl();
if ("missing" in other) console.info(`SKIP another kubectl: ${other.missing}`);
const python = findPython();
if ("missing" in python) console.info(`SKIP python3-kubernetes: ${python.missing}`);

/**
 * What a kubectl before 1.34 (client-go 2f016580) prints about a message that it reads before it knows its
 * streams: the cluster begins with empty ones.
 */
const UNKNOWN_STREAM = /^E\d{4} .*Unknown stream id \d, discarding message\n/gm;

let people: TestStack;
let d1: string;

beforeAll(async () => {
  people = await startTestStack({ limits: { maxSessionsPerUser: 20 } });
  d1 = people.stack.d1Path;
});
afterAll(() => people?.stop());

/** Waits for the one ended session of a kind that began after a time. */
const endedSince = (began: number, kind: string, condition: string) =>
  sessionWhere(d1, `state = 'ended' AND kind = ? AND started_at >= ${began} AND ${condition}`, kind);

/** Returns the text of an ended session's recording, without the line ends and colours that it adds. */
async function recorded(row: Row): Promise<string> {
  expect(row).toMatchObject({ recording: "complete", recording_mode: "output" });
  const response = await people.admin("GET", `sessions/${row["id"]}/recording`);
  expect(response.status).toBe(200);
  const [, ...events] = (await response.text()).trimEnd().split("\n");
  return events
    .map((line) => JSON.parse(line) as [number, string, string])
    .flatMap(([, code, data]) => (code === "o" ? [data.replaceAll("\r\n", "\n")] : []))
    .join("");
}

describe.skipIf("missing" in other)(`kubectl ${"version" in other ? other.version : ""}`, () => {
  const { path, version } = "path" in other ? other : { path: "", version: "" };
  const userAgent = `kubectl/${version} `;
  const of = (context: string, env = {}) => new Kubectl(people.stack.kubeconfig, context, people.home, env, path);

  function background(...args: string[]): Running {
    const started = of("alice").start(args);
    onTestFinished(() => void started.child.kill("SIGKILL"));
    return started;
  }

  const prints = (started: Running, text: RegExp) =>
    expect.poll(() => started.stdout() + started.stderr()).toMatch(text);

  it("exec: passes stdout, stderr, exit code and stdin unchanged, and is recorded", async () => {
    // What is typed arrives once kubectl knows its streams.
    const script = "read -r typed; echo other-out; echo other-err >&2; exit 42";
    const exec = ["exec", "-i", "shell", "--", "sh", "-c", script];
    const { code, stdout, stderr } = await of("alice").runWithInput("typed\n", ...exec);
    expect([code, stdout]).toEqual([42, "other-out\n"]);
    expect(stderr.replace(UNKNOWN_STREAM, "")).toBe("other-err\ncommand terminated with exit code 42\n");
    const row = await sessionWhere(d1, "state = 'ended' AND command ->> '$[2]' = ?", script);
    expect(row).toMatchObject({ kind: "exec", outcome: "exited", exit_code: 42, user: "alice@example.com" });
    expect(row["user_agent"]).toContain(userAgent);
    expect(await recorded(row)).toContain("other-out\n");

    const bytes = randomBytes(1_000_000).toString("base64");
    const echoed = await of("alice").runWithInput(bytes, "exec", "-i", "shell", "--", "cat");
    expect(echoed.stdout === bytes).toBe(true);
  });

  it("attach: streams, and is recorded", async () => {
    const attached = background("attach", "logger");
    await prints(attached, /line \d+.*\n.*line \d+.*\n/);
    attached.child.kill("SIGINT");
    await attached.finished;
    const row = await sessionWhere(d1, "state = 'ended' AND kind = 'attach' AND user_agent LIKE ?", `${userAgent}%`);
    expect(row).toMatchObject({ pod: "logger", outcome: "disconnected" });
    expect(await recorded(row)).toContain(/line \d+/.exec(attached.stdout())?.[0]);
  });

  it("cp: copies a file in and out unchanged", async () => {
    const file = join(people.home, "other-file");
    writeFileSync(file, randomBytes(1_000_000));
    expect((await of("alice").run("cp", file, "shell:other-copy")).code).toBe(0);
    expect((await of("alice").run("cp", "shell:other-copy", `${file}.back`)).code).toBe(0);
    expect(readFileSync(`${file}.back`).equals(readFileSync(file))).toBe(true);
    const row = await sessionWhere(
      d1,
      "state = 'ended' AND kind = 'exec' AND command LIKE '%tar%cf%other-copy%' AND user_agent LIKE ?",
      `${userAgent}%`,
    );
    // kubectl leaves as soon as it has the whole archive, which may be before the cluster has sent the
    // Status.
    const { outcome, exit_code: exitCode } = row;
    expect([
      ["exited", 0],
      ["disconnected", null],
    ]).toContainEqual([outcome, exitCode]);
    expect(row["bytes_out"]).toBeGreaterThan(1_000_000);
  });

  it("port-forward carries a page", async () => {
    const forward = background("port-forward", "pod/echo", ":8080");
    await prints(forward, /-> 8080/);
    const port = /127\.0\.0\.1:(\d+) -> 8080/.exec(forward.stdout())?.[1];
    expect(await (await fetch(`http://127.0.0.1:${port}/index.html`)).text()).toContain("hello from");
    forward.child.kill("SIGINT");
    await forward.finished;
    const row = await sessionWhere(
      d1,
      "state = 'ended' AND kind = 'port-forward' AND user_agent LIKE ?",
      `${userAgent}%`,
    );
    expect(JSON.parse(String(row["forwards"]))).toMatchObject([{ port: 8080, connections: 1, errors: 0 }]);
  });

  it("get -w and logs -f show later events", async () => {
    const watch = background("get", "configmaps", "--watch", "--output=name");
    await prints(watch, /configmap\//);
    await of("alice").run("create", "configmap", "seen-by-the-other");
    await prints(watch, /configmap\/seen-by-the-other/);
    await of("alice").run("delete", "configmap", "seen-by-the-other");
    const logs = background("logs", "--follow", "--tail=1", "logger");
    await prints(logs, /line \d+.*\n.*line \d+.*\n.*line \d+/);
  });

  it("shows why a request is refused: by RBAC, without a rule, with --as, over SPDY", async () => {
    expect((await of("bob").run("exec", "shell", "--", "true")).stderr).toContain(
      'User "bob@example.com" cannot get resource "pods/exec"',
    );
    expect((await of("mallory").run("get", "pods")).stderr).toContain("no rule here gives mallory@example.net access");
    expect((await of("alice").run("get", "pods", "--as=bob@example.com")).stderr).toContain(
      "this user is not available to you: --as takes alice@example.com",
    );
    const advice = "use kubectl 1.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true";
    const exec = of("alice", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false" });
    expect((await exec.run("exec", "shell", "--", "true")).stderr).toContain(advice);
    const forward = of("alice", { KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" });
    expect((await forward.run("port-forward", "pod/echo", ":7")).stderr).toContain(advice);
  });

  it("apply --server-side: does not take over another manager's field unless forced", async () => {
    const manifest = (greeting: string) =>
      JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "shared" }, data: { greeting } });
    const apply = (greeting: string, ...flags: string[]) =>
      of("alice").runWithInput(manifest(greeting), "apply", "--server-side", "-f", "-", ...flags);
    expect(await apply("one")).toMatchObject({ code: 0 });
    await of("alice").run("patch", "configmap", "shared", "--type=merge", "-p", '{"data":{"greeting":"two"}}');
    const refused = await apply("three");
    expect(refused.stderr).toContain('conflict with "kubectl-patch" using v1: .data.greeting');
    expect(await apply("three", "--force-conflicts")).toMatchObject({ code: 0 });
    const now = await of("alice").run("get", "configmap", "shared", "-o", "jsonpath={.data.greeting}");
    expect(now.stdout).toBe("three");
  });
});

describe("helm", () => {
  const chart = resolve(import.meta.dirname, "charts/greeter");
  const helm = (context = "alice") => new Helm(people.stack.kubeconfig, context, people.home);
  const kubectl = async (...args: string[]) => (await people.alice.run(...args)).stdout;
  const succeeds = async (finished: Promise<Finished>) => {
    const { code, stdout, stderr } = await finished;
    expect(stderr).toBe("");
    expect(code).toBe(0);
    return stdout;
  };
  const history = async (release: string) =>
    JSON.parse(await succeeds(helm().run("history", release, "--output=json"))) as { status: string }[];

  it("installs, upgrades, tests, rolls back and uninstalls a chart, each time waiting for its pods", async () => {
    const wait = ["--wait", "--timeout=240s"];
    await succeeds(helm().run("install", "greeter", chart, ...wait));
    const greeting = () => kubectl("get", "configmap", "greeter", "-o", "jsonpath={.data.greeting}");
    expect(await greeting()).toBe("hello");
    expect(await kubectl("logs", "deployment/greeter")).toBe("hello\n");

    await succeeds(helm().run("upgrade", "greeter", chart, "--set=greeting=ahoy,replicas=2", ...wait));
    expect(await greeting()).toBe("ahoy");
    expect(await kubectl("get", "deployment", "greeter", "-o", "jsonpath={.status.readyReplicas}")).toBe("2");
    expect(await succeeds(helm().run("test", "greeter", "--logs"))).toContain("tested ahoy");

    await succeeds(helm().run("rollback", "greeter", "1", ...wait));
    expect(await greeting()).toBe("hello");
    expect(await kubectl("get", "deployment", "greeter", "-o", "jsonpath={.spec.replicas}")).toBe("1");
    expect((await history("greeter")).map(({ status }) => status)).toEqual(["superseded", "superseded", "deployed"]);
    expect(await kubectl("get", "secrets", "--field-selector=type=helm.sh/release.v1", "-o", "name")).toBe(
      [1, 2, 3].map((revision) => `secret/sh.helm.release.v1.greeter.v${revision}\n`).join(""),
    );

    await succeeds(helm().run("uninstall", "greeter", ...wait));
    expect(await kubectl("get", "deployments,services,configmaps", "-o", "name")).not.toContain("greeter");
    await people.alice.run("delete", "pod", "greeter-test");
  });

  it("works without server-side apply, and reports a failure that can be rolled back", async () => {
    const clientSide = "--server-side=false";
    await succeeds(helm().run("install", "older", chart, clientSide));
    const failed = await helm().run("upgrade", "older", chart, clientSide, "--set=replicas=-1");
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("spec.replicas");
    await succeeds(helm().run("rollback", "older", "1", clientSide));
    expect((await history("older")).map(({ status }) => status)).toEqual(["superseded", "failed", "deployed"]);
    await succeeds(helm().run("uninstall", "older"));
  });

  it("appears in the cluster's audit log under the person's name", async () => {
    await succeeds(helm().run("list"));
    const requests = readFileSync(people.stack.clusterAuditLog ?? "", "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { userAgent: string; impersonatedUser?: { username: string } })
      .filter(({ userAgent }) => userAgent.startsWith("Helm/4"));
    expect(requests.length).toBeGreaterThan(0);
    expect(new Set(requests.map(({ impersonatedUser }) => impersonatedUser?.username))).toEqual(
      new Set(["alice@example.com"]),
    );
  });

  it("shows why the cluster refuses, but not why Sallyport does", async () => {
    const byCluster = await helm("bob").run("list");
    expect(byCluster.code).toBe(1);
    expect(byCluster.stderr).toContain('secrets is forbidden: User "bob@example.com" cannot list resource "secrets"');
    // Its first request is for /version, and client-go does not show why that was refused.
    const unknown = "Error: kubernetes cluster unreachable: unknown\n";
    expect(await helm("mallory").run("list")).toMatchObject({ code: 1, stderr: unknown });
    expect(await helm().run("list", "--kube-as-user=bob@example.com")).toMatchObject({ code: 1, stderr: unknown });
  });
});

describe("@kubernetes/client-node", () => {
  function config(context: string, file = people.stack.kubeconfigTls): KubeConfig {
    const loaded = new KubeConfig();
    loaded.loadFromFile(file);
    loaded.setCurrentContext(context);
    return loaded;
  }

  class Text extends Writable {
    text = "";
    override _write(chunk: Buffer, _encoding: string, done: () => void): void {
      this.text += String(chunk);
      done();
    }
  }

  it("lists, over HTTPS only: it refuses plain HTTP itself", async () => {
    const names = async (file: string) => {
      const { items } = await config("alice", file).makeApiClient(CoreV1Api).listNamespacedPod({ namespace: "demo" });
      return items.map(({ metadata }) => metadata?.name);
    };
    expect(await names(people.stack.kubeconfigTls)).toContain("shell");
    await expect(names(people.stack.kubeconfig)).rejects.toThrow("HTTP protocol is not allowed");
  });

  it("watches", async () => {
    const seen: string[] = [];
    const follow = (type: string, { metadata }: { metadata: { name: string } }) =>
      seen.push(`${type} ${metadata.name}`);
    const watch = await new Watch(config("alice")).watch("/api/v1/namespaces/demo/configmaps", {}, follow, () => {});
    onTestFinished(() => watch.abort());
    await expect.poll(() => seen).toContain("ADDED settings");
    await people.alice.run("create", "configmap", "seen-by-node");
    await people.alice.run("delete", "configmap", "seen-by-node");
    await expect.poll(() => seen).toContain("DELETED seen-by-node");
  });

  it("exec: passes stdin, stdout, stderr and the status, and is recorded", async () => {
    const script = "echo node-out; echo node-err >&2; cat; exit 3";
    const [stdout, stderr, stdin] = [new Text(), new Text(), new PassThrough()];
    const status = await new Promise<V1Status>((done, failed) => {
      const command = ["sh", "-c", script];
      new Exec(config("alice"))
        .exec("demo", "shell", "shell", command, stdout, stderr, stdin, false, done)
        .catch(failed);
      stdin.end("typed\n");
    });
    expect(status).toMatchObject({ status: "Failure", reason: "NonZeroExitCode" });
    expect(status.details?.causes).toEqual([{ reason: "ExitCode", message: "3" }]);
    expect([stdout.text, stderr.text]).toEqual(["node-out\ntyped\n", "node-err\n"]);
    const row = await sessionWhere(d1, "state = 'ended' AND command ->> '$[2]' = ?", script);
    expect(row).toMatchObject({ kind: "exec", outcome: "exited", exit_code: 3, user: "alice@example.com" });
    // It sends no user agent with a WebSocket.
    expect(row["user_agent"]).toBeNull();
    expect(await recorded(row)).toContain("typed\n");
  });

  it("attach: streams until it is closed", async () => {
    const stdout = new Text();
    const socket = await new Attach(config("alice")).attach("demo", "logger", "logger", stdout, null, null, false);
    await expect.poll(() => stdout.text).toMatch(/line \d+.*\n.*line \d+/);
    socket.close();
    const row = await sessionWhere(d1, "state = 'ended' AND kind = 'attach' AND user_agent IS NULL");
    expect(row).toMatchObject({ pod: "logger", outcome: "disconnected" });
    expect(await recorded(row)).toContain(/line \d+/.exec(stdout.text)?.[0]);
  });

  it("port-forward carries a page", async () => {
    const began = Date.now();
    const forward = new PortForward(config("alice"));
    const server = createServer((socket) => void forward.portForward("demo", "echo", [8080], socket, null, socket));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void server.close());
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/index.html`;
    const page = await fetch(url, { headers: { connection: "close" } });
    expect(await page.text()).toContain("hello from");
    const row = await endedSince(began, "port-forward", "user_agent IS NULL");
    expect(row).toMatchObject({ pod: "echo", ports: "[8080]", outcome: "closed" });
    expect(JSON.parse(String(row["forwards"]))).toMatchObject([{ port: 8080, connections: 1, errors: 0 }]);
  });

  it("shows only the status of a refused exec; the audit log has the reason", async () => {
    const exec = new Exec(config("bob")).exec("demo", "shell", "shell", ["node-bob"], null, null, null, false);
    await expect(exec).rejects.toThrow("Unexpected server response: 403");
    const row = await sessionWhere(d1, "state = 'ended' AND command ->> '$[0]' = 'node-bob'");
    expect(row).toMatchObject({ user: "bob@example.com", outcome: "refused" });
    expect(row["reason"]).toContain('User "bob@example.com" cannot get resource "pods/exec"');
  });

  it("has the message of a refused request in its error", async () => {
    const list = config("mallory").makeApiClient(CoreV1Api).listNamespacedPod({ namespace: "demo" });
    await expect(list).rejects.toThrow("no rule here gives mallory@example.net access");
  });
});

describe.skipIf("missing" in python)("python3-kubernetes", () => {
  type Said = { readonly what: string; readonly [fact: string]: unknown };

  async function client(kubeconfig: string, context: string): Promise<Said[]> {
    const script = join(import.meta.dirname, "support/client.py");
    const program = "path" in python ? python.path : "";
    const { code, stdout, stderr } = await runProgram(program, [script, kubeconfig, context], { HOME: people.home });
    expect(stderr).toBe("");
    expect(code).toBe(0);
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Said);
  }

  it.each(["kubeconfig", "kubeconfig.tls"])("lists, execs, watches and forwards ports with %s", async (file) => {
    const began = Date.now();
    const [list, exec, watch, forward, impersonation] = await client(join(people.stack.stateDir, file), "alice");
    expect(list).toMatchObject({ what: "list", pods: expect.arrayContaining(["echo", "logger", "shell", "tty"]) });
    expect(exec).toEqual({ what: "exec", stdout: "python-out\ngot typed\n", stderr: "python-err\n", code: 5 });
    const seen = ["ADDED settings", "ADDED seen-by-python", "DELETED seen-by-python"];
    expect(watch).toEqual({ what: "watch", seen: expect.arrayContaining(seen) });
    expect(forward).toMatchObject({ what: "port-forward", page: expect.stringContaining("hello from"), error: null });
    expect(impersonation).toMatchObject({ what: "refused", act: "impersonating", code: 403 });
    expect(impersonation?.["body"]).toContain("this user is not available to you: --as takes alice@example.com");

    const row = await endedSince(began, "exec", "command LIKE '%python-out%'");
    expect(row).toMatchObject({ outcome: "exited", exit_code: 5, user: "alice@example.com", pod: "shell" });
    // It sends no user agent with a WebSocket.
    expect(row["user_agent"]).toBeNull();
    expect(await recorded(row)).toContain("got typed\n");
    const forwarded = await endedSince(began, "port-forward", "user_agent IS NULL");
    expect(forwarded).toMatchObject({ pod: "echo", ports: "[8080]", outcome: "closed" });
    expect(JSON.parse(String(forwarded["forwards"]))).toMatchObject([{ port: 8080, connections: 1, errors: 0 }]);
  });

  it("shows only the status of a refused exec; the audit log has the reason", async () => {
    const began = Date.now();
    const steps = await client(people.stack.kubeconfig, "bob");
    const refused = steps.find(({ act }) => act === "exec_with_stdin");
    expect(refused?.["reason"]).toContain("Handshake status 403 Forbidden");
    const row = await endedSince(began, "exec", "command LIKE '%python-out%'");
    expect(row).toMatchObject({ user: "bob@example.com", outcome: "refused" });
    expect(row["reason"]).toContain('User "bob@example.com" cannot get resource "pods/exec"');
  });
});
