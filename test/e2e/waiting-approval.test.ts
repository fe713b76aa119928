/**
 * Shells that wait for somebody's approval inside plain kubectl: one person waits, another decides, each with
 * real kubectl. Every test has a pod and a grant of its own, for a grant lets in whatever it covers.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { PassThrough, Writable } from "node:stream";
import { Exec, KubeConfig, type V1Status } from "@kubernetes/client-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PERSONAS } from "../../dev/access/personas.ts";
import { type Finished, Kubectl, kubectlPath, type Running } from "../../dev/programs/kubectl.ts";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { otherKubectl } from "./support/kubectl.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { findPython, runProgram } from "./support/programs.ts";
import { Terminal } from "./support/terminal.ts";

const other = otherKubectl();
if ("missing" in other) console.info(`SKIP another kubectl: ${other.missing}`);
const python = findPython();
if ("missing" in python) console.info(`SKIP python3-kubernetes: ${python.missing}`);

/** Pods, and the grants for them. */
const PODS = [
  ...["approved", "by-plugin", "denied", "undecided", "given-up", "of-others", "copied", "piped", "by-node"],
  ...["by-python", "other-kubectl", "without-d1", "denied-without-d1", "given-up-without-d1", "restarted"],
  ...["attached", "crowded"],
] as const;
type Pod = (typeof PODS)[number];

/** The shortest wait that a rule can have. */
const SHORT_WAIT: Pod = "undecided";
/** Of one person. The object takes no more that wait. */
const CROWD = 50;
const CONFIG: ConfigOverrides = {
  limits: { maxSessionsPerUser: CROWD },
  rules: PODS.map((pod) => ({
    ...{ name: pod, match: { kinds: ["exec", "attach"], namespaces: ["demo"], names: [pod] }, action: "allow" },
    approval: { grant: pod, waitMinutes: pod === SHORT_WAIT ? 1 : 5 },
  })),
  grants: PODS.map((pod) => ({
    ...{ name: pod, for: [{ claim: "custom.groups", value: "developers" }], gives: { rules: [pod] } },
    ...{ approvers: pod === "of-others" ? { roles: ["admin"] } : { roles: ["admin"], users: [PERSONAS.bob.email] } },
    // Bob's, so that the others' sessions are not in his object. A viewer opens no shell without it.
    ...(pod === "crowded" && { for: [{ email: PERSONAS.bob.email }], gives: { rules: [pod], groups: ["developers"] } }),
  })),
};

const ADDRESS = /http\S+\/-\/approvals\/([\w-]{64})/;

let people: TestStack;
let d1: string;
/** Nobody decides about it. It waits while the other tests run. */
let undecided: Running;

beforeAll(async () => {
  people = await startTestStack(CONFIG);
  d1 = people.stack.d1Path;
  const pods = PODS.map((name) => ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "demo" } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          ...{ name: "main", image: "localhost/busybox:1", imagePullPolicy: "Never" },
          ...(name === "attached" && { command: ["sh"], stdin: true, tty: true }),
        },
      ],
    },
  }));
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: pods });
  // The embedded cluster has no OpenAPI document.
  const created = await people.alice.runWithInput(list, "create", "--validate=false", "-f", "-");
  expect(created).toMatchObject({ code: 0, stderr: "" });
  const ready = ["wait", "--for=condition=Ready", "--timeout=60s", ...PODS.map((name) => `pod/${name}`)];
  expect(await people.alice.run(...ready)).toMatchObject({ code: 0, stderr: "" });
  undecided = people.alice.start(["exec", SHORT_WAIT, "--", "true"], "");
});
afterAll(async () => {
  undecided?.child.kill("SIGKILL");
  await people?.stop();
});

const decide = (who: Kubectl, id: string, decision: object) =>
  who.runWithInput(JSON.stringify(decision), "create", "--raw", `/-/approvals/${id}`, "-f", "-");

async function approve(id: string): Promise<void> {
  expect(await decide(people.bob, id, { decision: "approve" })).toMatchObject({ code: 0 });
}

/** Waits until something shows the address of a request. @returns the request's id */
async function askedBy(shown: () => string): Promise<string> {
  await expect.poll(shown).toMatch(ADDRESS);
  return ADDRESS.exec(shown())?.[1] ?? "";
}

/** Finds the request for a pod's grant as an approver does, without the address. @returns its id */
async function pendingOf(pod: Pod): Promise<string> {
  const find = async () => {
    const { stdout } = await people.bob.run("get", "--raw", "/-/approvals?state=pending");
    const { pending } = JSON.parse(stdout) as { pending: { id: string; grant: string }[] };
    return pending.find(({ grant }) => grant === pod)?.id ?? "";
  };
  await expect.poll(find).not.toBe("");
  return find();
}

const shellIn = (pod: Pod, kubectl = people.alice) => new Terminal(kubectl.command("exec", "-it", pod, "--", "sh"));
const waiting = (terminal: Terminal) => askedBy(() => terminal.shown);

/** The command runs although it was typed once only, as soon as the approval was read. */
async function runsAtOnce(terminal: Terminal, word: string): Promise<void> {
  await terminal.shows("sallyport: approved by bob@example.com");
  terminal.type(`echo ${word}-$((6*7))\n`);
  await terminal.shows(`${word}-42`);
}

/** kubectl's end on a terminal, whose lines end with CR LF. */
const lastLine = ({ shown }: Terminal) => shown.trimEnd().split("\r\n").at(-1);

describe("a shell that waits", () => {
  it("begins when somebody else approves by kubectl, lets the next one in, and ends when that is revoked", async () => {
    const waits = shellIn("approved");
    const id = await waiting(waits);
    expect(waits.shown).toMatch(/^sallyport: this needs an approval of approved, and waits for up to 5m\./);
    expect(waits.shown).toContain("bob@example.com or holders of the role admin may approve it: ");
    expect(waits.shown).toContain("Ctrl-C gives up.");
    waits.type("touch typed-early\n");
    waits.resize(97, 31);
    const own = await decide(people.alice, id, { decision: "approve" });
    expect(own).toMatchObject({ code: 1, stderr: expect.stringContaining("(Forbidden): this is your own request") });
    const seen = await people.bob.run("get", "--raw", `/-/approvals/${id}`);
    expect(JSON.parse(seen.stdout)).toMatchObject({
      ...{ state: "pending", user: "alice@example.com", grant: "approved" },
      purpose: "exec in the pod approved (container main) of demo, cluster embedded: sh",
    });
    await approve(id);
    await runsAtOnce(waits, "first");
    waits.type("stty size\n");
    await waits.shows("31 97");
    waits.type("test -e typed-early || echo absent-$((6*7))\n");
    await waits.shows("absent-42");

    const next = shellIn("approved");
    await next.typeUntil("echo next-$((6*7))", "next-42");
    expect(next.shown).not.toContain("sallyport:");

    const revoked = await people.bob.run("delete", "--raw", `/-/grants/${id}?reason=over`);
    expect(revoked).toMatchObject({ code: 0 });
    expect([await waits.exited, await next.exited]).toEqual([1, 1]);
    for (const each of [waits, next]) {
      expect(lastLine(each)).toMatch(/^error: .*bob@example.com.*over/);
      expect(each.shown.match(/was taken back by/g)).toHaveLength(1);
    }
  });

  it("begins when somebody approves with the plugin", async () => {
    const waits = shellIn("by-plugin");
    const id = await waiting(waits);
    const approved = await sallyport("bob", "approve", id, "--minutes", "10");
    expect(approved).toMatchObject({ code: 0, stderr: "" });
    await runsAtOnce(waits, "plugin");
    waits.type("exit 7\n");
    expect(await waits.exited).toBe(7);
  });

  it("is attached to a running container when somebody approves", async () => {
    const waits = new Terminal(people.alice.command("attach", "-it", "attached"));
    const id = await waiting(waits);
    waits.type("touch typed-early\n");
    const seen = await people.bob.run("get", "--raw", `/-/approvals/${id}`);
    expect(JSON.parse(seen.stdout)).toMatchObject({
      purpose: "attach in the pod attached (container main) of demo, cluster embedded",
    });
    await approve(id);
    await runsAtOnce(waits, "attached");
    waits.type("test -e typed-early || echo absent-$((6*7))\n");
    await waits.shows("absent-42");
    expect(await people.bob.run("delete", "--raw", `/-/grants/${id}?reason=over`)).toMatchObject({ code: 0 });
    expect(await waits.exited).toBe(1);
    expect(lastLine(waits)).toMatch(/^error: .*over/);
    const row = await sessionWhere(d1, "pod = 'attached' AND state = 'ended'");
    expect(row).toMatchObject({ kind: "attach", outcome: "access_ended" });
  });

  it("waits with 49 others of its person, one more is refused, and one approval lets all in", async () => {
    const config = new KubeConfig();
    config.loadFromFile(people.stack.kubeconfigTls);
    config.setCurrentContext("bob");
    const others = Array.from({ length: CROWD - 1 }, () => {
      const [stdout, stderr] = [new Text(), new Text()];
      const status = new Promise<V1Status>((done, failed) => {
        const command = ["echo", "in"];
        new Exec(config).exec("demo", "crowded", "main", command, stdout, stderr, null, false, done).catch(failed);
      });
      return { stdout, stderr, status };
    });
    for (const { stderr } of others) await askedBy(() => stderr.text);
    const waits = shellIn("crowded", people.bob);
    const id = await waiting(waits);
    const most = "50 of your sessions wait to begin, the most allowed: end one of them";
    const tooMany = await people.bob.run("exec", "crowded", "--", "true");
    expect(tooMany).toMatchObject({ code: 1, stderr: expect.stringContaining(most) });
    await sessionWhere(d1, `pod = 'crowded' AND outcome = 'refused' AND reason = '${most}'`);
    expect(await decide(people.kubectl("admin"), id, { decision: "approve" })).toMatchObject({ code: 0 });
    for (const { stdout, status } of others) {
      expect((await status).status).toBe("Success");
      expect(stdout.text).toBe("in\n");
    }
    await waits.shows("sallyport: approved by admin@example.com");
    waits.type("exit 7\n");
    expect(await waits.exited).toBe(7);
  });

  it("ends with who denied it, and why", async () => {
    const waits = shellIn("denied");
    const id = await waiting(waits);
    const denied = await decide(people.bob, id, { decision: "deny", reason: "not during the freeze" });
    expect(denied).toMatchObject({ code: 0 });
    expect(await waits.exited).toBe(1);
    expect(lastLine(waits)).toBe("error: bob@example.com denied the access denied: not during the freeze");
    const row = await sessionWhere(d1, "pod = 'denied' AND state = 'ended'");
    expect(row).toMatchObject({ outcome: "not_approved", reason: expect.stringContaining("not during the freeze") });
    expect(await decide(people.bob, id, { decision: "approve" })).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining("(Conflict)") },
    });
  });

  it("is given up with Ctrl-C, which withdraws its request", async () => {
    const waits = shellIn("given-up");
    const id = await waiting(waits);
    waits.type("\x03");
    expect(await waits.exited).toBe(1);
    expect(lastLine(waits)).toBe("error: given up while it waited for an approval");
    const late = () => decide(people.bob, id, { decision: "approve" });
    await expect.poll(async () => (await late()).stderr).toContain("(Conflict)");
    await sessionWhere(d1, "pod = 'given-up' AND outcome = 'not_approved'");
  });

  it("is given up with Ctrl-C without a terminal, too", async () => {
    const waits = people.alice.start(["exec", "-i", "given-up", "--", "cat"]);
    const id = await askedBy(waits.stderr);
    waits.child.kill("SIGINT");
    await waits.finished;
    const late = () => decide(people.bob, id, { decision: "approve" });
    await expect.poll(async () => (await late()).stderr).toContain("(Conflict)");
  });

  it("goes on waiting when somebody decides who may not", async () => {
    const waits = shellIn("of-others");
    const id = await waiting(waits);
    for (const who of [people.bob, people.mallory]) {
      const { code, stderr } = await decide(who, id, { decision: "approve" });
      expect([code, stderr]).toEqual([1, expect.stringMatching(/\((Forbidden|NotFound)\)/)]);
    }
    expect(await decide(people.kubectl("admin"), id, { decision: "approve" })).toMatchObject({ code: 0 });
    await waits.shows("sallyport: approved by admin@example.com (of-others).");
    waits.type("exit\n");
    expect(await waits.exited).toBe(0);
  });

  it("keeps what is piped in, to its end", async () => {
    const bytes = randomBytes(500_000);
    const waits = people.alice.start(["exec", "-i", "piped", "--", "sha256sum"], bytes);
    await approve(await askedBy(waits.stderr));
    const { code, stdout, stderr } = await waits.finished;
    expect([code, stdout.split(" ")[0]]).toEqual([0, createHash("sha256").update(bytes).digest("hex")]);
    expect(stderr).toMatch(/^(?:sallyport: .*\n){2}sallyport: approved by bob@example.com \(piped\)\.\n$/);
  });

  it("copies a file in and out, although kubectl asks first, silently, whether the destination is a folder", async () => {
    const file = join(people.home, "copied");
    writeFileSync(file, randomBytes(500_000));
    // Nobody decides in time: kubectl gives up after 30 s by itself, and has shown nothing.
    const hasty = await people.alice.run("cp", file, "copied:arrived");
    expect(hasty).toEqual({ code: 1, stdout: "", stderr: "error: context deadline exceeded\n" });
    await approve(await pendingOf("copied"));
    expect(await people.alice.run("cp", file, "copied:arrived")).toMatchObject({ code: 0 });
    expect(await people.alice.run("cp", "copied:arrived", `${file}.back`)).toMatchObject({ code: 0 });
    expect(readFileSync(`${file}.back`).equals(readFileSync(file))).toBe(true);
  });

  it.skipIf("missing" in other)(`begins with kubectl ${"version" in other ? other.version : ""}`, async () => {
    const program = "path" in other ? other.path : "";
    const kubectl = new Kubectl(people.stack.kubeconfig, "alice", people.home, {}, program);
    const waits = shellIn("other-kubectl", kubectl);
    await approve(await waiting(waits));
    await runsAtOnce(waits, "other");
    waits.type("exit 7\n");
    expect(await waits.exited).toBe(7);
  });

  it("begins with @kubernetes/client-node", async () => {
    const config = new KubeConfig();
    config.loadFromFile(people.stack.kubeconfigTls);
    config.setCurrentContext("alice");
    const [stdout, stderr, stdin] = [new Text(), new Text(), new PassThrough()];
    const status = new Promise<V1Status>((done, failed) => {
      const command = ["sh", "-c", "cat; exit 3"];
      new Exec(config).exec("demo", "by-node", "main", command, stdout, stderr, stdin, false, done).catch(failed);
    });
    stdin.end("typed\n");
    await approve(await askedBy(() => stderr.text));
    expect((await status).details?.causes).toEqual([{ reason: "ExitCode", message: "3" }]);
    expect(stdout.text).toBe("typed\n");
  });

  it.skipIf("missing" in python)("begins with python3-kubernetes", async () => {
    const script = `
import sys
from kubernetes import client, config
from kubernetes.stream import stream
api = client.CoreV1Api(config.new_client_from_config(sys.argv[1], context="alice"))
session = stream(api.connect_get_namespaced_pod_exec, "by-python", "demo", stdin=True, stdout=True, stderr=True,
                 tty=False, command=["sh", "-c", "read word; echo got $word; exit 5"], _preload_content=False)
session.write_stdin("typed\\n")
session.run_forever(timeout=60)
print(session.read_stdout().strip(), session.returncode)
`;
    const program = "path" in python ? python.path : "";
    const finished = runProgram(program, ["-c", script, people.stack.kubeconfig], { HOME: people.home });
    await approve(await pendingOf("by-python"));
    expect(await finished).toMatchObject({ code: 0, stdout: "got typed 5\n" });
  });

  it("ends with a message where nobody decides, and the request stands", async () => {
    const { code, stderr } = await undecided.finished;
    const id = ADDRESS.exec(stderr)?.[1] ?? "";
    expect(code).toBe(1);
    // Said at once, and after 30 s again.
    expect(stderr.match(/sallyport: this needs an approval of undecided/g)).toHaveLength(2);
    expect(stderr).toMatch(/\nerror: nobody approved undecided within 1m; the request stands: .*\n$/);
    await approve(id);
    const tryAgain = () => people.alice.run("exec", SHORT_WAIT, "--", "echo", "in");
    expect(await tryAgain()).toMatchObject({ code: 0, stdout: "in\n", stderr: "" });
  });

  it("begins and ends while D1 is away, and the log has it afterwards", async () => {
    const bringBack = takeD1Away();
    onTestFinished(bringBack);
    expect((await people.admin("GET", "sessions?state=ended")).ok).toBe(false);
    const waits = shellIn("without-d1");
    const id = await waiting(waits);
    await approve(id);
    await runsAtOnce(waits, "without");
    const next = shellIn("without-d1");
    await next.typeUntil("echo next-$((6*7))", "next-42");
    expect(next.shown).not.toContain("sallyport:");
    const denied = shellIn("denied-without-d1");
    const deniedId = await waiting(denied);
    expect(await decide(people.bob, deniedId, { decision: "deny", reason: "no" })).toMatchObject({ code: 0 });
    expect(await denied.exited).toBe(1);
    expect(lastLine(denied)).toBe("error: bob@example.com denied the access denied-without-d1: no");
    const givenUp = shellIn("given-up-without-d1");
    const givenUpId = await waiting(givenUp);
    givenUp.type("\x03");
    expect(await givenUp.exited).toBe(1);
    const late = () => decide(people.bob, givenUpId, { decision: "approve" });
    await expect.poll(async () => (await late()).stderr).toContain("(Conflict)");
    expect(await people.bob.run("delete", "--raw", `/-/grants/${id}?reason=over`)).toMatchObject({ code: 0 });
    expect([await waits.exited, await next.exited]).toEqual([1, 1]);
    expect(lastLine(waits)).toMatch(/^error: .*over/);
    bringBack();
    for (const pod of ["denied", "given-up"]) {
      await sessionWhere(d1, `pod = '${pod}-without-d1' AND outcome = 'not_approved'`);
    }
    const ended = "SELECT id FROM sessions WHERE pod = 'without-d1' AND outcome = 'access_ended' ORDER BY started_at";
    await expect.poll(() => query(d1, ended)).toHaveLength(2);
    const [first] = query(d1, ended);
    const types = query(d1, "SELECT type FROM events WHERE session_id = ? ORDER BY seq", String(first?.["id"]));
    expect(types.map(({ type }) => type)).toEqual(["start", "approval", "connect", "end"]);
  });

  it("ends when the object that holds it stops, which the log says", async () => {
    const waits = shellIn("restarted");
    await waiting(waits);
    const pid = people.stack.workerdPid();
    if (pid === undefined) throw new Error("workerd's process cannot be found: this test needs /proc");
    process.kill(pid, "SIGKILL");
    expect(await waits.exited).toBe(1);
    const isBack = () => fetch(`${people.stack.personas.admin.url}/-/healthz`).then(({ ok }) => ok);
    await expect.poll(() => isBack().catch(() => false)).toBe(true);
    // Whoever comes next wakes the object.
    const again = shellIn("restarted");
    await waiting(again);
    again.type("\x03");
    expect(await again.exited).toBe(1);
    await sessionWhere(d1, "pod = 'restarted' AND outcome = 'interrupted'");
  });
});

class Text extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** `kubectl sallyport …`, with the plugin that the stack has built. */
function sallyport(context: string, ...args: string[]): Promise<Finished> {
  const folder = people.stack.stateDir;
  return runProgram(kubectlPath(), ["sallyport", ...args, "--context", context], {
    ...{ HOME: people.home, KUBECONFIG: people.stack.kubeconfig, PATH: `${folder}:${process.env["PATH"]}` },
  });
}

/** Takes the audit log's table away, so that every statement of the Workers fails. @returns brings it back */
function takeD1Away(): () => void {
  const database = new DatabaseSync(d1);
  const view = database.prepare("SELECT sql FROM sqlite_master WHERE name = 'sessions'").get() as { sql: string };
  database.exec("DROP VIEW sessions; ALTER TABLE events RENAME TO events_away");
  let isAway = true;
  return () => {
    if (!isAway) return;
    isAway = false;
    database.exec(`ALTER TABLE events_away RENAME TO events; ${view.sql}`);
    database.close();
  };
}
