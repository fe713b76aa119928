/** When a cluster that says nothing is lost. */
import { beforeEach, describe, expect, test } from "vitest";
import {
  type LegState,
  Liveness,
  LOST_AFTER_MS,
  PING_INTERVAL_MS,
  PIPE_BYTES,
} from "../../durable/upstream/liveness.ts";

const TICK_MS = 1_000;
const START = 1_000_000;

let now: number;
let liveness: Liveness;
let pings: number[];
let payloads: Uint8Array[];

beforeEach(() => {
  now = START;
  liveness = new Liveness(START);
  pings = [];
  payloads = [];
});

/**
 * Ticks for a while, and answers pings if told to.
 *
 * @returns when the cluster was lost, ms from the start of the session
 */
function run(ms: number, state: Partial<LegState> = {}, answer = false): number | undefined {
  for (const end = now + ms; now < end; ) {
    now += TICK_MS;
    const action = liveness.tick(now, { canBeHeard: true, sentBytes: 0, ...state });
    if (action?.kind === "lost") return now - START;
    if (!action) continue;
    pings.push(now - START);
    payloads.push(action.payload);
    if (answer) liveness.answered(now, action.payload);
  }
  return undefined;
}

test("a cluster that answers is never lost, and is asked every 10 s", () => {
  expect(run(10 * LOST_AFTER_MS, {}, true)).toBeUndefined();
  expect(pings.slice(0, 3)).toEqual([PING_INTERVAL_MS, 2 * PING_INTERVAL_MS, 3 * PING_INTERVAL_MS]);
});

test("one that falls silent is lost 60 to 90 s later", () => {
  expect(run(LOST_AFTER_MS, {}, true)).toBeUndefined();
  const lostAt = run(10 * LOST_AFTER_MS);
  expect(lostAt).toBeGreaterThanOrEqual(2 * LOST_AFTER_MS);
  expect(lostAt).toBeLessThanOrEqual(2 * LOST_AFTER_MS + 30_000);
});

test("one whose output arrives is not lost, whether it answers or not", () => {
  for (let count = 0; count < 10; count++) {
    expect(run(LOST_AFTER_MS / 2)).toBeUndefined();
    liveness.heard(now, 0);
  }
});

test("while the client reads nothing nobody is lost, and the clock starts afresh when it reads again", () => {
  expect(run(10 * LOST_AFTER_MS, { canBeHeard: false })).toBeUndefined();
  expect(pings.length).toBeGreaterThan(30);
  expect(run(LOST_AFTER_MS - TICK_MS)).toBeUndefined();
  expect(run(2 * PING_INTERVAL_MS)).toBeDefined();
});

describe("input that a command does not read", () => {
  test("may hold up the answers for as long as it likes, though the connection has taken it all", () => {
    expect(run(LOST_AFTER_MS, {}, true)).toBeUndefined();
    expect(run(10 * LOST_AFTER_MS, { sentBytes: PIPE_BYTES + 1 })).toBeUndefined();
  });

  test("is no excuse once a ping behind it was answered", () => {
    const sent = { sentBytes: 10 * PIPE_BYTES };
    expect(run(LOST_AFTER_MS, sent, true)).toBeUndefined();
    expect(run(10 * LOST_AFTER_MS, sent)).toBeDefined();
  });

  test("still is one if the answer is to a ping before it, however late that answer is", () => {
    expect(run(PING_INTERVAL_MS)).toBeUndefined();
    expect(run(PING_INTERVAL_MS)).toBeUndefined();
    const sent = { sentBytes: 10 * PIPE_BYTES };
    expect(run(PING_INTERVAL_MS, sent)).toBeUndefined();
    for (const payload of payloads.slice(0, 2)) liveness.answered(now, payload);
    expect(run(10 * LOST_AFTER_MS, sent)).toBeUndefined();
  });

  test("still is one if the answer is none to a ping of ours", () => {
    const sent = { sentBytes: 10 * PIPE_BYTES };
    expect(run(PING_INTERVAL_MS, sent)).toBeUndefined();
    const [payload = new Uint8Array()] = payloads;
    const more = new Uint8Array(8);
    new DataView(more.buffer).setFloat64(0, 20 * PIPE_BYTES);
    for (const other of [new Uint8Array(), payload.subarray(1), more, new Uint8Array(8).fill(255)]) {
      liveness.answered(now, other);
    }
    expect(run(10 * LOST_AFTER_MS, sent)).toBeUndefined();
  });

  test("is one too where it came little by little, with answers to the pings between", () => {
    let sentBytes = 0;
    while (sentBytes <= PIPE_BYTES) {
      sentBytes += PIPE_BYTES / 8;
      expect(run(PING_INTERVAL_MS, { sentBytes }, true)).toBeUndefined();
    }
    expect(run(10 * LOST_AFTER_MS, { sentBytes: sentBytes + 1 })).toBeUndefined();
  });

  test("is none where it came little by little to a command that prints something", () => {
    let sentBytes = 0;
    while (sentBytes <= 10 * PIPE_BYTES) {
      sentBytes += PIPE_BYTES / 8;
      expect(run(PING_INTERVAL_MS, { sentBytes }, true)).toBeUndefined();
      liveness.heard(now, sentBytes);
    }
    expect(run(10 * LOST_AFTER_MS, { sentBytes: sentBytes + 100 })).toBeDefined();
  });

  test("of a few keystrokes is no excuse", () => {
    expect(run(10 * LOST_AFTER_MS, { sentBytes: 100 })).toBeDefined();
  });
});

test("a cluster is not lost for a time in which nobody listened, as of a suspended machine", () => {
  expect(run(5_000, {}, true)).toBeUndefined();
  now += 10 * LOST_AFTER_MS;
  expect(run(LOST_AFTER_MS - 2 * TICK_MS)).toBeUndefined();
  expect(run(2 * LOST_AFTER_MS)).toBeDefined();
});
