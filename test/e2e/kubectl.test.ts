/** Real kubectl through the whole local stack: fake Access, edge, user objects, D1, embedded cluster. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Kubectl, type Running } from "../../dev/programs/kubectl.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;
let d1: string;
const running: Running[] = [];

beforeAll(async () => {
  people = await startTestStack({ limits: { maxSessionsPerUser: 20 } });
  d1 = people.stack.d1Path;
});
afterAll(async () => {
  for (const { child } of running) child.kill("SIGKILL");
  await people?.stop();
});

function background(kubectl: Kubectl, ...args: string[]): Running {
  const started = kubectl.start(args);
  running.push(started);
  return started;
}

async function prints(started: Running, text: string | RegExp): Promise<void> {
  await expect.poll(() => started.stdout() + started.stderr()).toMatch(text);
}

describe("API requests", () => {
  it("kubectl version names the embedded cluster", async () => {
    expect((await people.alice.run("version")).stdout).toMatch(/Server Version: v1\.\d+\.\d+.*embedded/);
  });

  it("kubectl get shows the server's own table", async () => {
    const { code, stdout } = await people.alice.run("get", "pods");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE$/m);
    expect(stdout).toMatch(/^shell\s+1\/1\s+Running/m);
  });

  it("kubectl get -w shows later events", async () => {
    const watch = background(people.alice, "get", "configmaps", "--watch", "--output=name");
    await prints(watch, "configmap/");
    await people.alice.run("create", "configmap", "seen-by-the-watch");
    await prints(watch, "configmap/seen-by-the-watch");
    await people.alice.run("delete", "configmap", "seen-by-the-watch");
  });

  it("kubectl describe pod and logs -f work", async () => {
    expect((await people.alice.run("describe", "pod", "shell")).stdout).toMatch(/^Name:\s+shell$/m);
    const logs = background(people.alice, "logs", "--follow", "--tail=1", "logger");
    await expect.poll(() => logs.stdout().split("\n").length).toBeGreaterThan(3);
  });

  it("a person without a rule is shown Sallyport's refusal", async () => {
    const { code, stderr } = await people.mallory.run("get", "pods");
    expect(code).toBe(1);
    expect(stderr).toContain("no rule here gives mallory@example.net access");
  });

  it("kubectl --as for somebody else is refused with a message, not ignored", async () => {
    const { code, stderr } = await people.alice.run("get", "pods", "--as=bob@example.com");
    expect(code).toBe(1);
    expect(stderr).toContain("this user is not available to you: --as takes alice@example.com");
  });
});

describe("sessions", () => {
  it("exec keeps stdout, stderr and the exit code apart, and is logged", async () => {
    const script = "echo out; echo err >&2; exit 42";
    const { code, stdout, stderr } = await people.alice.run("exec", "shell", "--", "sh", "-c", script);
    expect(stdout).toBe("out\n");
    expect(stderr).toBe("err\ncommand terminated with exit code 42\n");
    expect(code).toBe(42);
    const row = await sessionWhere(d1, "state = 'ended' AND command ->> '$[2]' = ?", script);
    expect(row).toMatchObject({
      user: "alice@example.com",
      kubernetes_groups: '["developers"]',
      cluster: "embedded",
      kind: "exec",
      namespace: "demo",
      pod: "shell",
      tty: 0,
      client_address: "127.0.0.1",
      outcome: "exited",
      exit_code: 42,
    });
    expect(row["user_agent"]).toMatch(/^kubectl\/v1\.36/);
  });

  it("the cluster's own audit log names the person and the session", async () => {
    await people.alice.run("exec", "shell", "--", "echo", "joined-logs");
    const { id } = await sessionWhere(d1, "command ->> '$[1]' = 'joined-logs'");
    const lines = readFileSync(people.stack.clusterAuditLog ?? "", "utf8")
      .trim()
      .split("\n");
    const event = lines
      .map((line) => JSON.parse(line) as { requestURI: string; impersonatedUser?: Record<string, unknown> })
      .find(({ requestURI }) => requestURI.includes("joined-logs"));
    expect(event?.impersonatedUser).toMatchObject({
      username: "alice@example.com",
      groups: expect.arrayContaining(["developers"]),
      extra: { "sallyport-session": [id] },
    });
  });

  it("exec -i passes stdin unchanged, to its end", async () => {
    const bytes = randomBytes(5_000_000).toString("base64");
    const { stdout } = await people.alice.runWithInput(bytes, "exec", "-i", "shell", "--", "cat");
    expect(stdout === bytes).toBe(true);
  });

  it("exec -it is a terminal: size, resize, Ctrl-C and exit code", async () => {
    const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"));
    await terminal.typeUntil("stty size", "40 120");
    terminal.resize(101, 33);
    await terminal.typeUntil("stty size", "33 101");
    terminal.type("echo be''fore; sleep 60\n");
    await terminal.shows("before");
    terminal.type("\x03");
    terminal.type("echo after-$((6*7))\n");
    await terminal.shows("after-42");
    terminal.type("exit 3\n");
    expect(await terminal.exited).toBe(3);
    await sessionWhere(d1, "tty = 1 AND kind = 'exec' AND outcome = 'exited' AND exit_code = 3");
  });

  it("attach streams what the container prints", async () => {
    const attached = background(people.alice, "attach", "logger");
    await expect.poll(() => attached.stdout().split("\n").length).toBeGreaterThan(3);
    attached.child.kill("SIGINT");
    await attached.finished;
    await sessionWhere(d1, "kind = 'attach' AND pod = 'logger' AND outcome = 'disconnected'");
  });

  it("cp copies a file in and out unchanged", async () => {
    const file = join(people.home, "file");
    writeFileSync(file, randomBytes(3_000_000));
    expect((await people.alice.run("cp", file, "shell:copied")).code).toBe(0);
    expect((await people.alice.run("cp", "shell:copied", `${file}.back`)).code).toBe(0);
    expect(readFileSync(`${file}.back`).equals(readFileSync(file))).toBe(true);
  });

  it("port-forward carries several connections at once, and reports a port where nothing listens", async () => {
    const forward = background(people.alice, "port-forward", "pod/echo", ":8080", ":9");
    await prints(forward, /-> 8080/);
    const port = /127\.0\.0\.1:(\d+) -> 8080/.exec(forward.stdout())?.[1];
    const pages = await Promise.all(
      Array.from({ length: 8 }, async () => (await fetch(`http://127.0.0.1:${port}/index.html`)).text()),
    );
    for (const page of pages) expect(page).toContain("hello from");
    await prints(forward, /-> 9/);
    const closed = Number(/127\.0\.0\.1:(\d+) -> 9/.exec(forward.stdout())?.[1]);
    connect(closed, "127.0.0.1")
      .on("error", () => {})
      .write("anybody?");
    await prints(forward, /an error occurred forwarding \d+ -> 9/);
    forward.child.kill("SIGINT");
    await forward.finished;
  });

  it("works over HTTPS with the local authority", async () => {
    const tls = new Kubectl(people.stack.kubeconfigTls, "alice", people.home);
    expect(await tls.run("exec", "shell", "--", "echo", "over tls")).toMatchObject({ code: 0, stdout: "over tls\n" });
  });
});

describe("refused sessions", () => {
  it("a refusal by RBAC shows the cluster's message, and is logged once", async () => {
    const { code, stderr } = await people.bob.run("exec", "shell", "--", "echo", "bob");
    expect(code).toBe(1);
    const message =
      'pods "shell" is forbidden: User "bob@example.com" cannot get resource "pods/exec" in API group "" in the namespace "demo"';
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/SPDY/i);
    expect(await sessionWhere(d1, "state = 'ended' AND user = 'bob@example.com'")).toMatchObject({
      outcome: "refused",
      reason: message,
    });
  });

  it("a kubectl that supports only SPDY is told what to do, and is logged once", async () => {
    const old = people.kubectl("alice", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false" });
    const { code, stderr } = await old.run("exec", "shell", "--", "echo", "spdy-only");
    expect(code).toBe(1);
    expect(stderr).toContain("use kubectl 1.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true");
    await sessionWhere(d1, "command ->> '$[1]' = 'spdy-only' AND outcome = 'refused'");
  });

  it("a container that does not exist is reported by the cluster", async () => {
    const { stderr } = await people.alice.run("exec", "shell", "-c", "nope", "--", "true");
    expect(stderr).toMatch(/container (not found|nope is not valid)/);
  });
});

describe("an administrator", () => {
  async function liveId(condition: string): Promise<string> {
    return String((await sessionWhere(d1, `state = 'live' AND ${condition}`))["id"]);
  }

  it("ends one session: the person and the audit log are told who and why", async () => {
    const exec = background(people.alice, "exec", "shell", "--", "sleep", "4711");
    const id = await liveId("command ->> '$[1]' = '4711'");
    const listed = (await (await people.admin("GET", "sessions?state=live")).json()) as { items: { id: string }[] };
    expect(listed.items.map((item) => item.id)).toContain(id);
    expect((await people.admin("DELETE", `sessions/${id}?reason=lunch`)).status).toBe(200);
    // The answer comes after the end: there is nothing left to end.
    expect((await people.admin("DELETE", `sessions/${id}?reason=again`)).status).toBe(404);
    const { code, stderr } = await exec.finished;
    expect(stderr).toBe("error: session terminated by admin@example.com: lunch\n");
    expect(code).toBe(1);
    expect(await sessionWhere(d1, "state = 'ended' AND id = ?", id)).toMatchObject({ outcome: "terminated" });
    expect(query(d1, "SELECT ended_by, reason FROM sessions WHERE id = ?", id)).toEqual([
      { ended_by: "admin@example.com", reason: "lunch" },
    ]);
  });

  it("ends all of a user's sessions, terminals and port-forwards among them", async () => {
    const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"));
    terminal.type("echo ready-$((1+1))\n");
    await terminal.shows("ready-2");
    const forward = background(people.alice, "port-forward", "pod/echo", ":7");
    await prints(forward, /-> 7/);
    const port = Number(/127\.0\.0\.1:(\d+) -> 7/.exec(forward.stdout())?.[1]);
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    const echoed = new Promise((resolve) => socket.once("data", resolve));
    socket.write("anything\n");
    await echoed;

    const response = await people.admin("DELETE", "users/Alice@example.com/sessions?reason=drill");
    expect(((await response.json()) as { ended: string[] }).ended).toHaveLength(2);
    expect(await terminal.exited).toBe(1);
    expect(terminal.shown).toContain("error: session terminated by admin@example.com: drill");
    const { code, stderr } = await forward.finished;
    expect(code).toBe(1);
    // kubectl port-forward shows a message only on an open connection's error stream.
    expect(stderr).toContain("session terminated by admin@example.com: drill");
  });
});
