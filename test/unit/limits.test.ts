import { describe, expect, test } from "vitest";
import type { SessionLimits } from "../../contract/limits.ts";
import {
  findOverfullSession,
  findReachedLimit,
  formatDuration,
  MAX_WAITING_BYTES,
  overfullLimit,
  stdinLimit,
} from "../../durable/session/limits.ts";

const LIMITS: SessionLimits = {
  maxSessionsPerUser: 3,
  idleTimeoutSeconds: 60,
  maxDurationSeconds: 5_400,
  stallTimeoutSeconds: 30,
  maxBufferedStdinBytes: 0,
};
const START = 1_000_000;

describe("at a given time a session has reached", () => {
  const idle = "session ended: idle for 1m, the longest allowed";
  const duration = "session ended: it reached the longest duration allowed (1h30m)";

  test.each([
    ["nothing, a moment before the idle limit", 0, 59_999, undefined],
    ["the idle limit", 0, 60_000, { outcome: "idle_limit", message: idle }],
    ["the idle limit, a moment later", 0, 60_001, { outcome: "idle_limit", message: idle }],
    ["nothing, as it was used just now", 5_399_998, 5_399_999, undefined],
    ["the longest duration, however busy", 5_400_000, 5_400_000, { outcome: "duration_limit", message: duration }],
    ["both: the duration counts", 0, 5_400_000, { outcome: "duration_limit", message: duration }],
    ["nothing, when the clock went backwards", 0, -60_000, undefined],
  ])("%s", (_, activeAfterMs, nowAfterMs, expected) => {
    const session = { startedAt: START, activeAt: START + activeAfterMs };
    expect(findReachedLimit(session, LIMITS, START + nowAfterMs)).toEqual(expected);
  });

  test.each([
    ["nothing, a moment before its access is over", 9_999, undefined],
    ["the end of the access that is over first", 10_000, "prod-admin"],
    ["the same, where another is over by now", 20_000, "prod-admin"],
  ])("%s", (_, nowAfterMs, grant) => {
    const grants = [
      { id: "a", grant: "staging", until: START + 50_000 },
      { id: "b", grant: "prod-admin", until: START + 10_000 },
    ];
    const session = { startedAt: START, activeAt: START + nowAfterMs, endsAt: null, grants };
    const message = `session ended: the access "${grant}" that it was opened with is over; ask for it again`;
    expect(findReachedLimit(session, LIMITS, START + nowAfterMs)).toEqual(
      grant && { outcome: "access_ended", message },
    );
  });
});

test.each([
  [0, "0s"],
  [1, "1s"],
  [59, "59s"],
  [60, "1m"],
  [61, "1m1s"],
  [3_599, "59m59s"],
  [3_600, "1h"],
  [3_601, "1h1s"],
  [5_400, "1h30m"],
  [86_400, "24h"],
])("%d seconds are %s", (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

describe("the bytes that all sessions of an object hold", () => {
  const session = (waitingBytes: number) => ({ waitingBytes });

  test("end the session that holds the most, once they are too many together", () => {
    const [small, large] = [session(1), session(MAX_WAITING_BYTES - 1)];
    expect(findOverfullSession([small, large], 0)).toBeUndefined();
    expect(findOverfullSession([small, large], 1)).toBe(large);
    expect(findOverfullSession([large, small, session(MAX_WAITING_BYTES / 2)], 0)).toBe(large);
    expect(findOverfullSession([], 2 * MAX_WAITING_BYTES)).toBeUndefined();
  });

  test.each([
    ["client", "its client stopped reading what it was sent"],
    ["cluster", "the cluster stopped reading what it was sent"],
    ["message", "a message of the cluster's is too large for the sessions that are open beside it"],
  ] as const)("are told from what they wait for: %s", (waitsFor, message) => {
    expect(overfullLimit(waitsFor)).toEqual({ outcome: "stalled", message: `session ended: ${message}` });
  });
});

test.each([
  ["full", 64 * 1024 * 1024, "stalled", "and 64 MiB of it wait, the most allowed"],
  ["full", 0, "stalled", "and none of it may be stored"],
  ["unmeasured", 1, "stalled", "as far as Sallyport can tell on this version of workerd"],
  ["storage", 1, "failed", "and Sallyport could not store what waits: try again"],
] as const)("input that cannot wait (%s, up to %d bytes) is told by what happened", (kind, maxBytes, outcome, how) => {
  const message = `session ended: its command does not read its input, ${how}`;
  expect(stdinLimit(kind, maxBytes)).toEqual({ outcome, message });
});

test("input that waits with its session is no fault of a command that does not run yet", () => {
  expect(stdinLimit("held", 1)).toMatchObject({
    outcome: "stalled",
    message: expect.stringMatching(
      /^session ended: it is held until somebody has approved it or watches it, .*run this again/,
    ),
  });
});
