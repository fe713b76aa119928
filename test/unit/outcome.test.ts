import { describe, expect, test } from "vitest";
import { NO_COUNTS } from "../../audit/events.ts";
import type { HangUp } from "../../durable/outcome.ts";
import { endEvent, outcomeOf, outcomeOfHangUp, outcomeOfLimit, outcomeOfTermination } from "../../durable/outcome.ts";
import { parseStatus, type Status } from "../../kubernetes/status.ts";

const CLIENT: HangUp = { side: "client", code: 1006 };
const UPSTREAM: HangUp = { side: "upstream", code: 1000 };

function status(json: object): Status {
  const parsed = parseStatus(JSON.stringify(json));
  if (!parsed) throw new Error("no status");
  return parsed;
}

const exit = (message: string) =>
  status({ status: "Failure", reason: "NonZeroExitCode", details: { causes: [{ reason: "ExitCode", message }] } });

describe("the cluster's status wins over who closed", () => {
  test.each([CLIENT, UPSTREAM, { side: "upstream", code: 1006 } as const, { side: "client", code: 1001 } as const])(
    "%o",
    (hangUp) => {
      expect(outcomeOfHangUp(status({ status: "Success" }), hangUp)).toEqual({
        ...outcomeOf("exited", null),
        exitCode: 0,
      });
      expect(outcomeOfHangUp(exit("137"), hangUp)).toEqual({ ...outcomeOf("exited", null), exitCode: 137 });
      expect(outcomeOfHangUp(status({ status: "Failure", message: "no such container" }), hangUp)).toEqual(
        outcomeOf("failed", "no such container"),
      );
    },
  );

  test("a failure without a message gets one", () => {
    expect(outcomeOfHangUp(status({ status: "Failure", reason: "InternalError" }), UPSTREAM).reason).toBe(
      "InternalError",
    );
    expect(outcomeOfHangUp(status({ status: "Failure" }), UPSTREAM).reason).toBe(
      "the cluster reported a failure without a message",
    );
  });

  test("an invalid exit code is a failure, not an exit", () => {
    expect(outcomeOfHangUp(exit("not a number"), UPSTREAM)).toMatchObject({ outcome: "failed", exitCode: null });
  });

  test("the message is cut to 1,024 characters for the audit log", () => {
    expect(outcomeOfHangUp(status({ status: "Failure", message: "x".repeat(5_000) }), UPSTREAM).reason?.length).toBe(
      1_024,
    );
  });
});

describe("without a status", () => {
  test.each<[HangUp, object]>([
    [{ side: "client", code: 1000 }, outcomeOf("disconnected", null)],
    [{ side: "client", code: 1006 }, outcomeOf("disconnected", null)],
    [{ side: "upstream", code: 1000 }, outcomeOf("closed", null)],
    [{ side: "upstream", code: 1005 }, outcomeOf("closed", null)],
    [
      { side: "upstream", code: 1006 },
      outcomeOf("upstream_lost", "the connection to the cluster was lost (WebSocket close 1006)"),
    ],
    [
      { side: "upstream", code: 1011 },
      outcomeOf("upstream_lost", "the connection to the cluster was lost (WebSocket close 1011)"),
    ],
  ])("%o", (hangUp, expected) => {
    expect(outcomeOfHangUp(undefined, hangUp)).toEqual(expected);
  });
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
