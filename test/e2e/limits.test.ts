/** What real kubectl shows when a limit is reached. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";
import { Terminal } from "./support/terminal.ts";

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack({
    limits: { maxSessionsPerUser: 2 },
    // Time limits for two pods only, so that the other tests do not depend on the machine's speed.
    rules: [
      {
        ...{ name: "short", match: { names: ["shell", "echo"] }, action: "allow" },
        limits: { idleTimeoutSeconds: 5, maxDurationSeconds: 8 },
      },
    ],
  });
});
afterAll(() => people?.stop());

it("an idle terminal is ended, and shows the reason, as does the audit log", async () => {
  const terminal = new Terminal(people.alice.command("exec", "-it", "shell", "--", "sh"));
  await terminal.shows(/\$|#/);
  expect(await terminal.exited).toBe(1);
  expect(terminal.shown).toContain("error: session ended: idle for 5s, the longest allowed");
  expect(await sessionWhere(people.stack.d1Path, "tty = 1 AND outcome = 'idle_limit'")).toMatchObject({
    reason: "session ended: idle for 5s, the longest allowed",
    ended_by: null,
  });
});

it("a port-forward without traffic is idle in spite of kubectl's pings, and an open connection shows why", async () => {
  const forward = people.alice.start(["port-forward", "pod/echo", ":7"]);
  await expect.poll(() => forward.stdout()).toMatch(/-> 7/);
  const port = Number(/127\.0\.0\.1:(\d+) -> 7/.exec(forward.stdout())?.[1]);
  connect(port, "127.0.0.1")
    .on("error", () => {})
    .write("once");
  const { code, stderr } = await forward.finished;
  expect(code).toBe(1);
  expect(stderr).toContain("session ended: idle for 5s, the longest allowed");
  await sessionWhere(people.stack.d1Path, "kind = 'port-forward' AND outcome = 'idle_limit'");
});

it("a busy session ends at the maximum duration", async () => {
  const busy = "while :; do echo tick; sleep 0.1; done";
  const { code, stdout, stderr } = await people.alice.run("exec", "shell", "--", "sh", "-c", busy);
  expect(code).toBe(1);
  expect(stdout.split("\n").length).toBeGreaterThan(10);
  expect(stderr).toBe("error: session ended: it reached the longest duration allowed (8s)\n");
  await sessionWhere(people.stack.d1Path, "outcome = 'duration_limit'");
});

it("a session above the limit is refused with a message, and other users are not affected", async () => {
  const busy = ["exec", "logger", "--", "sh", "-c", "while :; do echo tick; sleep 0.5; done"];
  const open = [people.alice.start(busy), people.alice.start(busy)];
  for (const { stdout } of open) await expect.poll(stdout).toContain("tick");
  const { code, stderr } = await people.alice.run("exec", "logger", "--", "echo", "third");
  expect(code).toBe(1);
  expect(stderr).toContain(
    "alice@example.com has 2 of 2 allowed sessions open; kubectl get --raw /-/sessions  lists them, " +
      "kubectl delete --raw /-/sessions/ID  ends one: then try again",
  );
  const other = people.kubectl("admin");
  expect(await other.run("exec", "logger", "--", "echo", "mine")).toMatchObject({ code: 0, stdout: "mine\n" });
  await sessionWhere(people.stack.d1Path, "command ->> '$[1]' = 'third' AND outcome = 'refused'");

  // What the message says, done by the one whom it tells; nobody else can.
  const listed = await people.alice.run("get", "--raw", "/-/sessions");
  const { items } = JSON.parse(listed.stdout) as { items: { id: string; user: string; state: string }[] };
  expect(items.map(({ user, state }) => [user, state])).toEqual(Array(2).fill(["alice@example.com", "live"]));
  const path = `/-/sessions/${items[0]?.id}`;
  for (const stranger of [people.bob, other]) {
    expect(await stranger.run("delete", "--raw", path)).toEqual({
      ...{ code: 1, stdout: "" },
      stderr:
        "Error from server (NotFound): you have no live session with this id: " +
        "kubectl get --raw /-/sessions lists yours\n",
    });
  }
  const deleted = await people.alice.run("delete", "--raw", `${path}?reason=forgotten`);
  expect(JSON.parse(deleted.stdout)).toEqual({ ended: [items[0]?.id] });
  const ended = await Promise.race(open.map(({ finished }) => finished));
  expect(ended).toMatchObject({ code: 1, stderr: "error: session terminated by alice@example.com: forgotten\n" });
  expect(await sessionWhere(people.stack.d1Path, "id = ? AND state = 'ended'", items[0]?.id ?? "")).toMatchObject({
    ...{ outcome: "terminated", ended_by: "alice@example.com", reason: "forgotten" },
  });
  expect((await people.alice.run("exec", "logger", "--", "echo", "third")).stdout).toBe("third\n");
  for (const { child } of open) child.kill("SIGKILL");
});
