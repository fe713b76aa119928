/** Rules, reasons, locks and several clusters, with real kubectl. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

let people: TestStack;

const LOCKED = "alice@example.com is locked by admin@example.com, and administrators can lift it: drill";

beforeAll(async () => {
  people = await startTestStack(
    {
      rules: [
        { name: "why exec", match: { kinds: ["exec"], names: ["echo"] }, action: "allow", requireReason: true },
        {
          ...{ name: "no attach", match: { kinds: ["attach"], clusters: ["second"] }, action: "refuse" },
          message: "nobody attaches here: use kubectl logs",
        },
      ],
    },
    { secondCluster: true },
  );
});
afterAll(() => people?.stop());

it("a rule's message is shown, over WebSocket and SPDY", async () => {
  const refused = await people.kubectl("alice-second").run("attach", "logger");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("nobody attaches here: use kubectl logs");
});

it("a reason is stated with plain kubectl, and is logged with the session", async () => {
  const exec = () => people.alice.run("exec", "echo", "--", "echo", "inside");
  const refused = await exec();
  expect(refused.stderr).toContain(
    'this session requires a reason: run  echo "why" | kubectl create --raw /-/reason -f -',
  );
  const stated = await people.alice.runWithInput(
    "INC-17: it answers no more\n",
    "create",
    "--raw",
    "/-/reason",
    "-f",
    "-",
  );
  expect(JSON.parse(stated.stdout)).toMatchObject({ reason: "INC-17: it answers no more" });
  expect((await exec()).stdout).toBe("inside\n");
  const row = await sessionWhere(people.stack.d1Path, "outcome = 'exited' AND pod = 'echo'");
  expect(row).toMatchObject({ access_reason: "INC-17: it answers no more", rule: "why exec" });
});

it("a lock ends open sessions and refuses new ones until it is lifted", async () => {
  const open = people.alice.start(["exec", "shell", "--", "sh", "-c", "echo open; sleep 99"]);
  // Not its row in the audit log, which is there before the session is open.
  await expect.poll(() => open.stdout()).toBe("open\n");
  await people.admin("PUT", "locks/alice@example.com?reason=drill");
  expect((await open.finished).stderr).toBe("error: session terminated by admin@example.com: drill\n");
  const refused = await people.alice.run("exec", "shell", "--", "true");
  expect(refused.stderr).toContain(LOCKED);
  expect((await people.bob.run("get", "pods")).code).toBe(0);
  await people.admin("DELETE", "locks/alice@example.com");
  // kubectl reads the pod first, and the edge keeps what it knows for ten seconds.
  await expect.poll(async () => (await people.alice.run("exec", "shell", "--", "true")).code).toBe(0);
});

it("a lock cuts a watch and a log that are open, as a broken connection does, and nobody else's", async () => {
  const watch = people.alice.start(["get", "pods", "--watch", "-o", "name"]);
  const log = people.alice.start(["logs", "-f", "logger"]);
  await expect.poll(() => watch.stdout()).not.toBe("");
  await expect.poll(() => log.stdout()).not.toBe("");
  const others = people.bob.start(["get", "pods", "--watch", "-o", "name"]);
  await expect.poll(() => others.stdout()).not.toBe("");
  await people.admin("PUT", "locks/alice@example.com?reason=drill");
  const [cutWatch, cutLog] = await Promise.all([watch.finished, log.finished]);
  // kubectl says nothing of a watch that breaks off, whoever broke it off.
  expect(cutWatch).toMatchObject({ code: 0, stderr: "" });
  expect(cutLog.code).toBe(1);
  expect(cutLog.stderr).toContain("error: unexpected EOF");
  expect((await people.alice.run("get", "pods")).stderr).toContain(LOCKED);
  expect(others.child.exitCode).toBeNull();
  others.child.kill();
  await people.admin("DELETE", "locks/alice@example.com");
  await expect.poll(async () => (await people.alice.run("get", "pods")).code).toBe(0);
});

describe("two clusters behind one Worker", () => {
  it("each has its own objects, and the audit log names the cluster", async () => {
    const second = people.kubectl("alice-second");
    expect((await second.run("create", "configmap", "only-here")).code).toBe(0);
    expect((await second.run("get", "configmap", "only-here", "-o", "name")).stdout).toBe("configmap/only-here\n");
    expect((await people.alice.run("get", "configmap", "only-here")).stderr).toContain("NotFound");
    expect((await second.run("exec", "shell", "--", "sh", "-c", "exit 7")).code).toBe(7);
    await sessionWhere(people.stack.d1Path, "cluster = 'second' AND exit_code = 7");
  });

  it("kubectl shows who one is on each", async () => {
    const whoami = async (context: string) =>
      JSON.parse((await people.kubectl(context).run("get", "--raw", "/-/whoami")).stdout) as { cluster: string };
    expect(await whoami("alice")).toMatchObject({ cluster: "embedded", identity: "alice@example.com" });
    expect(await whoami("alice-second")).toMatchObject({
      cluster: "second",
      clusters: [{ name: "embedded" }, { name: "second" }],
    });
  });
});
