import { describe, expect, test } from "vitest";
import { NO_COUNTS } from "../../audit/events.ts";
import { type CloseCause, closureOf } from "../../durable/session/close-cause.ts";
import { endEvent, outcomeOf, outcomeOfLimit, outcomeOfTermination } from "../../durable/session/outcome.ts";
import { parseStatus, type Status } from "../../kubernetes/status.ts";

function status(json: object): Status {
  const parsed = parseStatus(JSON.stringify(json));
  if (!parsed) throw new Error("no status");
  return parsed;
}

const SUCCESS = status({ status: "Success" });
const exit = (message: string) =>
  status({ status: "Failure", reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message }] } });

/** What a command's Status means for the log, whoever closes. */
const outcomeOfCommand = (said: Status) =>
  closureOf({ kind: "command", status: said, side: "cluster", code: 1000, reason: "" }, said).outcome;

describe("the cluster's status wins over who closed", () => {
  test.each<Pick<Extract<CloseCause, { kind: "command" }>, "side" | "code">>([
    { side: "client", code: 1006 },
    { side: "client", code: 1001 },
    { side: "cluster", code: 1000 },
    { side: "cluster", code: 1006 },
  ])("%o", (closed) => {
    const closureOfCommand = (said: Status) =>
      closureOf({ kind: "command", status: said, reason: "", ...closed }, said).outcome;
    expect(closureOfCommand(SUCCESS)).toEqual({ ...outcomeOf("exited", null), exitCode: 0 });
    expect(closureOfCommand(exit("137"))).toEqual({ ...outcomeOf("exited", null), exitCode: 137 });
    expect(closureOfCommand(status({ status: "Failure", message: "no such container" }))).toEqual(
      outcomeOf("failed", "no such container"),
    );
  });

  test("a failure without a message gets one", () => {
    expect(outcomeOfCommand(status({ status: "Failure", reason: "InternalError" })).reason).toBe("InternalError");
    expect(outcomeOfCommand(status({ status: "Failure" })).reason).toBe(
      "the cluster reported a failure without a message",
    );
  });

  test.each([
    ["a message of control characters", { message: "\u0007\u001b", reason: "InternalError" }, "InternalError"],
    ["an empty message", { message: "", reason: "InternalError" }, "InternalError"],
    [
      "commands to a terminal",
      { message: 'exec: "\u001b]52;c;aGk=\u0007\u001b[2J": no such file' },
      'exec: " ]52;c;aGk= [2J": no such file',
    ],
    ["half a character at the end", { message: `${"x".repeat(1_023)}🚪` }, `${"x".repeat(1_023)}\uFFFD`],
  ])("%s does not reach the audit log", (_, said, reason) => {
    expect(outcomeOfCommand(status({ status: "Failure", ...said })).reason).toBe(reason);
  });

  test("an invalid exit code is a failure, not an exit", () => {
    expect(outcomeOfCommand(exit("not a number"))).toMatchObject({ outcome: "failed", exitCode: null });
  });

  test("the message is cut to 1,024 characters for the audit log", () => {
    expect(outcomeOfCommand(status({ status: "Failure", message: "x".repeat(5_000) })).reason?.length).toBe(1_024);
  });
});

describe("what each cause means without a status", () => {
  const LOST = "the connection to the cluster was lost";
  const refusal = { status: 403, contentType: "application/json", body: "{}", message: "no" };
  const limit = { outcome: "idle_limit", message: "session ended: idle" } as const;

  const MEANINGS: [CloseCause, object][] = [
    [
      { kind: "client", code: 1000, reason: "bye" },
      {
        outcome: outcomeOf("disconnected", null),
        toClient: { code: 1000, reason: "" },
        toCluster: { code: 1000, reason: "bye" },
      },
    ],
    [
      { kind: "client", code: 1006, reason: "" },
      { outcome: outcomeOf("disconnected", null), toCluster: { code: 1006, reason: "" } },
    ],
    [
      { kind: "cluster", code: 1000, reason: "done" },
      {
        outcome: outcomeOf("closed", null),
        toClient: { code: 1000, reason: "done" },
        toCluster: { code: 1000, reason: "" },
      },
    ],
    [{ kind: "cluster", code: 1005, reason: "" }, { outcome: outcomeOf("closed", null) }],
    [
      { kind: "cluster", code: 1011, reason: "broken" },
      {
        outcome: outcomeOf("upstream_lost", `${LOST} (WebSocket close 1011)`),
        toClient: { code: 1011, reason: "broken" },
      },
    ],
    [
      { kind: "cluster", code: 1006, reason: "" },
      {
        outcome: outcomeOf("upstream_lost", `${LOST} (WebSocket close 1006)`),
        toClient: { message: LOST, code: 1000, reason: "" },
        toCluster: { code: 1001, reason: LOST },
      },
    ],
    [
      { kind: "cluster", code: 1006, reason: "no answer for 60 s" },
      {
        outcome: outcomeOf("upstream_lost", `${LOST} (no answer for 60 s)`),
        toClient: { message: LOST, code: 1000, reason: "" },
      },
    ],
    [
      { kind: "limit", limit },
      {
        outcome: outcomeOf("idle_limit", limit.message),
        toClient: { message: limit.message, code: 1000, reason: "" },
        toCluster: { code: 1001, reason: limit.message },
      },
    ],
    [
      { kind: "administrator", by: "root@example.com", reason: "drill" },
      {
        outcome: outcomeOfTermination("root@example.com", "drill"),
        toClient: { message: "session terminated by root@example.com: drill", code: 1000, reason: "" },
      },
    ],
    [
      { kind: "recorder", outcome: "recording_failed", message: "session ended: it can no longer be recorded" },
      { outcome: outcomeOf("recording_failed", "session ended: it can no longer be recorded") },
    ],
    [
      { kind: "refusal", refusal },
      { outcome: outcomeOf("refused", "no"), refusal },
    ],
    [
      { kind: "unapproved", message: "bob denied it" },
      {
        outcome: outcomeOf("not_approved", "bob denied it"),
        toClient: { message: "bob denied it", code: 1000, reason: "" },
      },
    ],
    [
      { kind: "unwatched", message: "nobody watched this session within 5m" },
      {
        outcome: outcomeOf("not_watched", "nobody watched this session within 5m"),
        toClient: { message: "nobody watched this session within 5m", code: 1000, reason: "" },
      },
    ],
    [{ kind: "internal" }, { outcome: outcomeOf("failed", "Sallyport failed, as its log says") }],
  ];

  test.each(MEANINGS)("%o", (cause, expected) => {
    expect(closureOf(cause, undefined)).toMatchObject(expected);
  });

  test("no cause is left out, but for a command that has ended, which always has a status", () => {
    const kinds: Record<CloseCause["kind"], true> = {
      ...{ command: true, client: true, cluster: true, limit: true, administrator: true },
      ...{ recorder: true, refusal: true, unapproved: true, unwatched: true, internal: true },
    };
    const tested = new Set(MEANINGS.map(([{ kind }]) => kind)).add("command");
    expect(tested).toEqual(new Set(Object.keys(kinds)));
  });

  test("a client that was not answered yet reads what ended its session", () => {
    const { refusal: answer } = closureOf(
      { kind: "administrator", by: "root@example.com", reason: "drill" },
      undefined,
    );
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toMatchObject({ message: "session terminated by root@example.com: drill" });
  });
});

test("a connection that breaks after the Status is a normal close: kubectl discards the Status on any other", () => {
  const closure = closureOf({ kind: "command", status: SUCCESS, side: "cluster", code: 1006, reason: "" }, SUCCESS);
  expect(closure.toClient).toEqual({ code: 1000, reason: "" });
});

describe("a session that Sallyport ends after its command has ended", () => {
  test("has the command's outcome, and the reason of the limit", () => {
    expect(outcomeOfLimit("idle_limit", "idle", undefined)).toEqual(outcomeOf("idle_limit", "idle"));
    expect(outcomeOfLimit("idle_limit", "idle", exit("3"))).toEqual({ ...outcomeOf("exited", "idle"), exitCode: 3 });
    const failure = status({ status: "Failure", message: "no such container" });
    expect(outcomeOfLimit("idle_limit", "idle", failure)).toEqual(outcomeOf("failed", "no such container"));
  });

  test("by an administrator is a termination with the command's exit code", () => {
    expect(outcomeOfTermination("a@b.c", "because", exit("3"))).toEqual({
      ...outcomeOfTermination("a@b.c", "because"),
      exitCode: 3,
    });
  });
});

test("a termination has the administrator and their reason", () => {
  expect(endEvent(outcomeOfTermination("admin@example.com", "because"), { ...NO_COUNTS, bytes_in: 7 })).toEqual({
    type: "end",
    data: {
      outcome: "terminated",
      exit_code: null,
      reason: "because",
      ended_by: "admin@example.com",
      ...NO_COUNTS,
      bytes_in: 7,
    },
  });
});
