import { describe, expect, test } from "vitest";
import { NO_COUNTS } from "../../audit/events.ts";
import type { HangUp } from "../../durable/ending.ts";
import { cutOff, endEvent, ending, readEnding, termination } from "../../durable/ending.ts";
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

describe("what the cluster said wins over who hung up", () => {
  test.each([CLIENT, UPSTREAM, { side: "upstream", code: 1006 } as const, { side: "client", code: 1001 } as const])(
    "%o",
    (hangUp) => {
      expect(readEnding(status({ status: "Success" }), hangUp)).toEqual({ ...ending("exited", null), exitCode: 0 });
      expect(readEnding(exit("137"), hangUp)).toEqual({ ...ending("exited", null), exitCode: 137 });
      expect(readEnding(status({ status: "Failure", message: "no such container" }), hangUp)).toEqual(
        ending("failed", "no such container"),
      );
    },
  );

  test("a failure without words gets some", () => {
    expect(readEnding(status({ status: "Failure", reason: "InternalError" }), UPSTREAM).reason).toBe("InternalError");
    expect(readEnding(status({ status: "Failure" }), UPSTREAM).reason).toBe(
      "the cluster reported a failure without words",
    );
  });

  test("an exit code that is none is a failure, not an exit", () => {
    expect(readEnding(exit("not a number"), UPSTREAM)).toMatchObject({ outcome: "failed", exitCode: null });
  });

  test("a message of any length is bounded in the record", () => {
    expect(readEnding(status({ status: "Failure", message: "x".repeat(5_000) }), UPSTREAM).reason?.length).toBe(1_024);
  });
});

describe("without a status", () => {
  test.each<[HangUp, object]>([
    [{ side: "client", code: 1000 }, ending("disconnected", null)],
    [{ side: "client", code: 1006 }, ending("disconnected", null)],
    [{ side: "upstream", code: 1000 }, ending("closed", null)],
    [{ side: "upstream", code: 1005 }, ending("closed", null)],
    [
      { side: "upstream", code: 1006 },
      ending("upstream_lost", "the connection to the cluster was lost (WebSocket close 1006)"),
    ],
    [
      { side: "upstream", code: 1011 },
      ending("upstream_lost", "the connection to the cluster was lost (WebSocket close 1011)"),
    ],
  ])("%o", (hangUp, expected) => {
    expect(readEnding(undefined, hangUp)).toEqual(expected);
  });
});

describe("a session that Sallyport ends after the command's own end", () => {
  test("has the command's ending, and the words of what hung up", () => {
    expect(cutOff("idle_limit", "idle", undefined)).toEqual(ending("idle_limit", "idle"));
    expect(cutOff("idle_limit", "idle", exit("3"))).toEqual({ ...ending("exited", "idle"), exitCode: 3 });
    const failure = status({ status: "Failure", message: "no such container" });
    expect(cutOff("idle_limit", "idle", failure)).toEqual(ending("failed", "no such container"));
  });

  test("by an administrator is a termination, and says that it came too late", () => {
    expect(termination("a@b.c", "because", exit("3"))).toEqual({
      ...termination("a@b.c", "because"),
      exitCode: 3,
    });
  });
});

test("the record of a termination says who and why", () => {
  expect(endEvent(termination("admin@example.com", "because"), { ...NO_COUNTS, bytes_in: 7 })).toEqual({
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
