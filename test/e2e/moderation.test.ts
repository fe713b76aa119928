/** Sessions of real kubectl that go on only while somebody watches them. */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kubectlPath, type Running } from "../../dev/programs/kubectl.ts";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import { eventually } from "../support/eventually.ts";
import { query, sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";
import { watchLines } from "./support/watch-lines.ts";

const ALICE = "alice@example.com";
const rule = (pod: string, waitMinutes: number, user = ALICE) => ({
  ...{ name: `${pod} of ${user}`, action: "allow" as const, watch: { required: true as const, waitMinutes } },
  match: { kinds: ["exec" as const, "port-forward" as const], names: [pod], users: [user] },
});
/** The shortest wait that a rule can have is for `logger`. */
const CONFIG: ConfigOverrides = {
  rules: [rule("shell", 5), rule("echo", 5), rule("logger", 1), rule("shell", 5, "admin@example.com")],
  limits: { maxSessionsPerUser: 20, idleTimeoutSeconds: 60 },
};
/** As long as kubectl waits for an answer to its pings, and longer. */
const FROZEN_MS = 65_000;

let people: TestStack;
/** Nobody watches it. It waits while the other tests run. */
let unwatched: Running;
/** Nobody watches them any more. They are frozen while the other tests run. */
let frozen: Awaited<ReturnType<typeof freezeSessions>>;
/** Ends what was started. */
const ends: (() => void)[] = [];

beforeAll(async () => {
  people = await startTestStack(CONFIG);
  unwatched = people.alice.start(["exec", "logger", "--", "true"], "");
  ends.push(() => void unwatched.child.kill("SIGKILL"));
  frozen = await freezeSessions();
});
afterAll(async () => {
  for (const end of ends) end();
  await people?.stop();
});

const AUDITORS = /kubectl sallyport watch ([\w-]{64})/;
const FROZEN = "sallyport: nobody watches this session, so nothing passes. It ends in 5m unless somebody does.";

/** Waits until a session says how it may be watched. @returns its id */
async function waiting(shown: () => string): Promise<string> {
  await eventually(() => expect(shown()).toMatch(AUDITORS));
  return AUDITORS.exec(shown())?.[1] ?? "";
}

/** Waits until an auditor finds the session in the list, in this state. */
async function waitsFor(id: string, what: "watcher" | null): Promise<void> {
  const find = async () => {
    const { items } = (await (await people.admin("GET", "sessions?state=live")).json()) as {
      items: { id: string; waitsFor: string | null }[];
    };
    return items.find((session) => session.id === id);
  };
  await eventually(async () => expect(await find()).toMatchObject({ waitsFor: what }));
}

/** `kubectl sallyport watch`, with the plugin that the stack has built. */
function watchWithPlugin(id: string): { shown: () => string; leave: () => void } {
  const env = { HOME: people.home, KUBECONFIG: people.stack.kubeconfig };
  const PATH = `${people.stack.stateDir}:${process.env["PATH"]}`;
  const child = spawn(kubectlPath(), ["sallyport", "watch", id, "--context", "admin"], { env: { ...env, PATH } });
  let shown = "";
  child.stdout.on("data", (piece) => {
    shown += piece;
  });
  child.stderr.on("data", (piece) => {
    shown += piece;
  });
  const leave = () => void child.kill("SIGINT");
  ends.push(leave);
  return { shown: () => shown, leave };
}

/** Watches as lines. @returns leaves */
async function watch(id: string): Promise<() => void> {
  const leave = await watchLines(people, id);
  ends.push(leave);
  return leave;
}

async function forward(pod: string, port: number): Promise<{ running: Running; url: string; id: string }> {
  const waitingForwards = async () => {
    const { stdout } = await people.alice.run("get", "--raw", "/-/sessions");
    const { items } = JSON.parse(stdout) as { items: { id: string; kind: string; waitsFor: string | null }[] };
    return items.filter(({ kind, waitsFor }) => kind === "port-forward" && waitsFor === "watcher").map(({ id }) => id);
  };
  const others = await waitingForwards();
  const running = people.alice.start(["port-forward", `pod/${pod}`, `:${port}`]);
  ends.push(() => void running.child.kill("SIGKILL"));
  const url = await localUrl(running, port);
  const find = async () => (await waitingForwards()).find((id) => !others.includes(id)) ?? "";
  const id = await eventually(async () => {
    const found = await find();
    expect(found).not.toBe("");
    return found;
  });
  return { running, url, id };
}

/** Waits until kubectl forwards a port. @returns the address of a page behind it */
async function localUrl({ stdout }: Running, port: number): Promise<string> {
  await eventually(() => expect(stdout()).toMatch(new RegExp(`-> ${port}`)));
  const [, local] = /127\.0\.0\.1:(\d+) ->/.exec(stdout()) ?? [];
  return `http://127.0.0.1:${local}/index.html`;
}

/** Asks through a forwarded port. @returns what was answered so far */
function get(url: string): { answer: () => string; answered: Promise<string> } {
  let answer = "";
  const answered = fetch(url).then(async (response) => {
    answer = await response.text();
    return answer;
  });
  answered.catch(() => {});
  return { answer: () => answer, answered };
}

describe("a shell that must be watched", () => {
  it("begins when an auditor runs the plugin, is frozen when they leave, and shows nothing until one comes", async () => {
    const shell = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"));
    const id = await waiting(() => shell.shown);
    expect(shell.shown).toMatch(/^sallyport: this session must be watched, and waits for up to 5m for somebody\./);
    await waitsFor(id, "watcher");
    shell.type("touch typed-early\n");
    const auditor = watchWithPlugin(id);
    await shell.shows("sallyport: this session is watched.");
    await shell.typeUntil("echo on-$((6*7))", "on-42");
    await expect.poll(auditor.shown).toContain("on-42");

    // The command prints while the session is frozen, and says so where this test sees it.
    const printed = join(people.home, "printed");
    const go = join(people.home, "go");
    shell.type(`(while [ ! -e ${go} ]; do sleep 0.1; done; echo leaked-$((6*7)); touch ${printed}) &\n`);
    shell.type("echo ready-$((6*7))\n");
    await shell.shows("ready-42");
    auditor.leave();
    await shell.shows(FROZEN);
    await waitsFor(id, "watcher");
    const before = shell.shown;
    writeFileSync(go, "");
    await expect.poll(() => existsSync(printed)).toBe(true);
    shell.type("touch typed-later\n");
    // The next reminder comes by the same way as what the command prints, and later.
    const since = () => shell.shown.slice(before.length);
    await expect.poll(since).toMatch(/nobody watches this session.*kubectl sallyport watch/s);
    expect(shell.shown.startsWith(before)).toBe(true);
    const lines = since()
      .trim()
      .split(/[\r\n]+/);
    expect(lines.filter((line) => !line.startsWith("sallyport: "))).toEqual([]);

    const second = watchWithPlugin(id);
    await shell.shows("somebody watches this session again: it goes on.");
    await shell.shows("leaked-42");
    await shell.typeUntil("ls typed-* || echo none-$((6*7))", "none-42");
    shell.type("exit 3\n");
    expect(await shell.exited).toBe(3);
    await expect.poll(second.shown).toContain("the session is over: exit code 3");
    const events = query(
      people.stack.d1Path,
      "SELECT type, data FROM events WHERE data ->> '$.session' = ? AND type IN ('freeze', 'thaw') ORDER BY row_number",
      id,
    );
    expect(events.map(({ type, data }) => [type, JSON.parse(String(data)).by ?? null])).toEqual([
      ["freeze", null],
      ["thaw", "admin@example.com"],
      ["freeze", null],
      ["thaw", "admin@example.com"],
    ]);
  });

  it("ends by an administrator while it is frozen", async () => {
    const shell = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"));
    const id = await waiting(() => shell.shown);
    const leave = await watch(id);
    await shell.typeUntil("echo on-$((6*7))", "on-42");
    leave();
    await shell.shows(FROZEN);
    expect((await people.admin("DELETE", `sessions/${id}?reason=enough`)).status).toBe(200);
    expect(await shell.exited).toBe(1);
    expect(shell.shown).toContain("session terminated by admin@example.com: enough");
  });
});

describe("a port-forward that must be watched", () => {
  it("lets a request wait until somebody watches, and while nobody does", async () => {
    const { url, id, running } = await forward("echo", 8080);
    const first = get(url);
    const leave = await watch(id);
    expect(await first.answered).toContain("hello from");
    // The list follows by seconds: otherwise it would still say what was before.
    await waitsFor(id, null);
    leave();
    await waitsFor(id, "watcher");
    const second = get(url);
    // Meanwhile a whole session of somebody else, whom nobody has to watch, begins and answers.
    const unheld = people.kubectl("admin").start(["port-forward", "pod/echo", ":8080"]);
    ends.push(() => void unheld.child.kill("SIGKILL"));
    expect(await get(await localUrl(unheld, 8080)).answered).toContain("hello from");
    expect(second.answer()).toBe("");
    await watch(id);
    expect(await second.answered).toContain("hello from");
    expect(running.stderr()).toBe("");
  });
});

/** A shell with a pipe and a port-forward, which nobody watches from now on. */
async function freezeSessions() {
  const piped = people.alice.start(["exec", "-i", "shell", "--", "sh", "-c", "echo begun; cat; echo ended"]);
  ends.push(() => void piped.child.kill("SIGKILL"));
  const ofPipe = await waiting(() => piped.stderr());
  const tunnel = await forward("echo", 8080);
  const leaves = [await watch(ofPipe), await watch(tunnel.id)];
  await eventually(() => expect(piped.stdout()).toBe("begun\n"));
  expect(await get(tunnel.url).answered).toContain("hello from");
  // The list follows by seconds.
  await Promise.all([waitsFor(ofPipe, null), waitsFor(tunnel.id, null)]);
  for (const leave of leaves) leave();
  await Promise.all([waitsFor(ofPipe, "watcher"), waitsFor(tunnel.id, "watcher")]);
  piped.child.stdin?.end("sent while it was frozen\n");
  return { piped, ofPipe, tunnel, since: Date.now() };
}

it("its own person does not count, in the plugin or otherwise, and gives up with Ctrl-C", async () => {
  const shell = new Terminal(people.kubectl("admin").command("exec", "-it", "shell", "--", "sh"));
  const id = await waiting(() => shell.shown);
  const own = watchWithPlugin(id);
  await expect.poll(own.shown).toContain("you do not count, because it is your own");
  await watch(id);
  await waitsFor(id, "watcher");
  shell.type("\u0003");
  expect(await shell.exited).toBe(1);
  expect(shell.shown).toContain("given up while it waited for somebody who watches it");
});

it("a session that nobody watches ends with a message, exit code 1 and an outcome of its own", async () => {
  const { code, stderr } = await unwatched.finished;
  expect(code).toBe(1);
  const message = "nobody watched this session within 1m, and it must be watched";
  expect(stderr.trimEnd().split("\n").at(-1)).toContain(message);
  const row = await sessionWhere(people.stack.d1Path, "pod = 'logger' AND state = 'ended'");
  expect(row).toMatchObject({ outcome: "not_watched", reason: message, bytes_out: 0 });
});

it("kubectl's sessions stay alive for as long as they are frozen", async () => {
  const { piped, ofPipe, tunnel, since } = frozen;
  await wait(Math.max(0, since + FROZEN_MS - Date.now()));
  expect([piped.stdout(), piped.child.exitCode, tunnel.running.child.exitCode]).toEqual(["begun\n", null, null]);

  await Promise.all([watch(ofPipe), watch(tunnel.id)]);
  expect(await piped.finished).toMatchObject({ code: 0, stdout: "begun\nsent while it was frozen\nended\n" });
  expect(await get(tunnel.url).answered).toContain("hello from");
  expect(piped.stderr().match(/nobody watches this session/g)?.length).toBeGreaterThan(1);
});
