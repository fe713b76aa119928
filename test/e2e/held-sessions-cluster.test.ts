/**
 * Sessions of real kubectl that wait for an approval or a watcher, in front of a real cluster: what it hears,
 * and when. Its own audit log is the witness.
 */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PERSONAS } from "../../dev/access/personas.ts";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { type AuditEvent, AuditTail, KubectlProxy, realCluster } from "./support/real-cluster.ts";
import { Terminal } from "./support/terminal.ts";
import { watchLines } from "./support/watch-lines.ts";

const cluster = realCluster("sessions that wait, in front of a real cluster");
const ALICE = PERSONAS.alice.email;
const ADMIN = PERSONAS.admin.email;
const CONFIG: ConfigOverrides = {
  rules: [
    {
      ...{ name: "approved", match: { kinds: ["exec"], names: ["logger"] }, action: "allow" },
      approval: { grant: "approved", waitMinutes: 5 },
    },
    {
      ...{ name: "watched", action: "allow" },
      match: { kinds: ["exec", "port-forward"], names: ["shell", "echo"], users: [ALICE] },
      watch: { required: true, waitMinutes: 5 },
    },
  ],
  grants: [
    {
      ...{ name: "approved", for: [{ email: ALICE }], gives: { rules: ["approved"] } },
      approvers: { users: [PERSONAS.bob.email] },
    },
  ],
};

describe.skipIf(!cluster)("in front of a real cluster", () => {
  let proxy: KubectlProxy;
  let people: TestStack;

  beforeAll(async () => {
    if (!cluster) return;
    proxy = await KubectlProxy.start(cluster);
    people = await startTestStack(CONFIG, { upstream: proxy.url });
  });
  afterAll(async () => {
    await people?.stop();
    proxy?.stop();
  });

  /** What the cluster's audit log has of sessions with a pod since now. */
  function heardOf(pod: string): () => readonly AuditEvent[] {
    const tail = new AuditTail(cluster?.auditLog ?? "", `/pods/${pod}/`);
    onTestFinished(() => tail.close());
    const isSession = ({ objectRef, stage }: AuditEvent) =>
      objectRef?.name === pod && ["exec", "portforward"].includes(objectRef.subresource ?? "") && stage !== "Panic";
    return () => tail.read().filter(isSession);
  }

  /**
   * Of what the cluster heard, it heard later than some moment, and as these people alone.
   *
   * @param since ms since the epoch
   */
  function expectHeardSince(since: number, events: readonly AuditEvent[], people: readonly string[]): void {
    for (const event of events) {
      expect(Date.parse(event.requestReceivedTimestamp ?? ""), event.requestURI).toBeGreaterThanOrEqual(since);
    }
    expect(new Set(events.map(({ impersonatedUser }) => impersonatedUser?.username))).toEqual(new Set(people));
  }

  /** Watches as lines. @returns leaves */
  async function watch(id: string): Promise<() => void> {
    const leave = await watchLines(people, id);
    onTestFinished(leave);
    return leave;
  }

  async function idShown(shown: () => string, what: RegExp): Promise<string> {
    await expect.poll(shown).toMatch(what);
    return what.exec(shown())?.[1] ?? "";
  }

  const WATCHABLE = /kubectl sallyport watch ([\w-]{64})/;

  it("a piped command waits for its approval, and the next one does not", async () => {
    const heard = heardOf("logger");
    const waiting = people.alice.start(["exec", "-i", "logger", "--", "sha256sum"], "hello\n");
    const id = await idShown(() => waiting.stderr(), /\/-\/approvals\/([\w-]{64})/);
    expect([heard(), waiting.stdout()]).toEqual([[], ""]);
    const approve = ["create", "--raw", `/-/approvals/${id}`, "-f", "-"];
    const approvedAt = Date.now();
    expect(await people.bob.runWithInput('{"decision":"approve"}', ...approve)).toMatchObject({ code: 0 });
    expect(await waiting.finished).toMatchObject({
      ...{ code: 0, stderr: expect.stringContaining(`approved by ${PERSONAS.bob.email} (approved).`) },
      stdout: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  -\n",
    });
    const next = await people.alice.run("exec", "logger", "--", "echo", "next");
    expect(next).toEqual({ code: 0, stdout: "next\n", stderr: "" });
    await expect.poll(() => new Set(heard().map(({ auditID }) => auditID)).size).toBe(2);
    expectHeardSince(approvedAt, heard(), [ALICE]);
    for (const { impersonatedUser } of heard()) {
      expect(impersonatedUser).toMatchObject({ extra: { "sallyport-grant": ["approved"] } });
    }
  });

  it("a shell waits for somebody who watches, is frozen when they leave, and goes on with the next", async () => {
    const heard = heardOf("shell");
    const shell = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"));
    const id = await idShown(() => shell.shown, WATCHABLE);
    shell.type("echo early-$((6*7))\n");
    expect(heard()).toEqual([]);
    const watchedAt = Date.now();
    const leave = await watch(id);
    await shell.shows("sallyport: this session is watched.");
    // From that line on nothing is dropped, so it is typed once.
    shell.type("echo on-$((6*7))\n");
    await shell.shows("on-42");
    const go = `/tmp/go-${Date.now()}`;
    shell.type(`(while [ ! -e ${go} ]; do sleep 0.1; done; echo leaked-$((6*7)); touch ${go}-done) &\n`);
    shell.type("echo ready-$((6*7))\n");
    await shell.shows("ready-42");
    leave();
    await shell.shows("nobody watches this session, so nothing passes.");
    shell.type("echo frozen-$((6*7))\n");
    // The administrator's own shells are not held, and see that the command has printed.
    const inPod = (script: string) => people.kubectl("admin").run("exec", "shell", "--", "sh", "-c", script);
    expect(await inPod(`touch ${go}`)).toMatchObject({ code: 0 });
    await expect.poll(() => inPod(`rm ${go}-done ${go}`)).toMatchObject({ code: 0 });
    expect(shell.shown).not.toMatch(/leaked-42|frozen-42|early-42/);
    await watch(id);
    await shell.shows("somebody watches this session again: it goes on.");
    await shell.shows("leaked-42");
    shell.type("exit 3\n");
    expect(await shell.exited).toBe(3);
    expect(shell.shown).not.toMatch(/frozen-42|early-42/);
    const own = () => heard().filter(({ impersonatedUser }) => impersonatedUser?.username === ALICE);
    await expect.poll(() => new Set(own().map(({ auditID }) => auditID)).size).toBe(1);
    expectHeardSince(watchedAt, heard(), [ADMIN, ALICE]);
  });

  it("a port-forward's requests wait until somebody watches", async () => {
    const heard = heardOf("echo");
    const forward = people.alice.start(["port-forward", "pod/echo", ":8080"]);
    onTestFinished(() => void forward.child.kill("SIGKILL"));
    const port = await idShown(() => forward.stdout(), /127\.0\.0\.1:(\d+) ->/);
    let answer = "";
    const answered = fetch(`http://127.0.0.1:${port}/`).then(async (response) => {
      answer = `${response.status} ${await response.text()}`;
    });
    const find = async () => {
      const { stdout } = await people.alice.run("get", "--raw", "/-/sessions");
      const { items } = JSON.parse(stdout) as { items: { id: string; kind: string; waitsFor: string | null }[] };
      return items.find(({ kind, waitsFor }) => kind === "port-forward" && waitsFor === "watcher")?.id ?? "";
    };
    await expect.poll(find).not.toBe("");
    expect([answer, heard()]).toEqual(["", []]);
    const watchedAt = Date.now();
    await watch(await find());
    await answered;
    expect(answer).toMatch(/^\d{3} ./);
    await expect.poll(heard).not.toEqual([]);
    expectHeardSince(watchedAt, heard(), [ALICE]);
  });
});
