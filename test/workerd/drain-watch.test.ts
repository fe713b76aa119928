import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Drain } from "../../contract/drain.ts";
import { type Asker, DrainWatch } from "../../worker/sessions/drain-watch.ts";

const START = 1_764_000_000_000;
const DRAIN: Drain = {
  ...{ by: "admin@example.com", reason: "upgrade\u001b[2J to 0.2" },
  ...{ since: START, until: START + 60_000 },
};
const OPEN = { ok: true, value: null };
const DRAINING = {
  ok: false,
  error: {
    code: "draining",
    message:
      "new sessions are refused until 2025-11-24T16:01:00.000Z (admin@example.com: upgrade [2J to 0.2): " +
      "try again then; open sessions and other requests go on",
  },
};

type Answer = () => Promise<unknown>;
const say =
  (value: unknown): Answer =>
  async () => ({ ok: true, value });
const fail: Answer = () => Promise.reject(new Error("Network connection lost."));
const hang: Answer = () => new Promise(() => {});

let now: number;
let watch: DrainWatch;
let answer: Answer;
let questions: number;
/** What the invocations still wait for. */
let background: Promise<unknown>[];

const asker: Asker = {
  namespace: {
    getByName: () => ({
      readDrain: () => {
        questions++;
        return answer();
      },
    }),
  } as unknown as Asker["namespace"],
  context: { waitUntil: (work: Promise<unknown>) => void background.push(work) },
};

/** What `check` says, and whether it waited for a timer. */
async function checkWithTimers() {
  const checked = watch.check(asker);
  let hasWaited = true;
  void checked.then(() => {
    hasWaited = false;
  });
  await vi.advanceTimersByTimeAsync(0);
  const waited = hasWaited;
  await vi.advanceTimersByTimeAsync(1_000);
  return { checked: await checked, waited };
}

beforeEach(() => {
  now = START;
  watch = new DrainWatch(() => now);
  answer = say(null);
  questions = 0;
  background = [];
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("the directory is asked once in three seconds, and once by sessions that come together", async () => {
  expect(await Promise.all([1, 2, 3].map(() => watch.check(asker)))).toEqual([OPEN, OPEN, OPEN]);
  for (const [ageMs, asked] of [
    [2_999, 1],
    [3_000, 2],
    [5_999, 2],
    [6_000, 3],
  ] as const) {
    now = START + ageMs;
    expect(await watch.check(asker)).toEqual(OPEN);
    expect(questions).toBe(asked);
  }
  expect(background).toHaveLength(3);
});

test("a drain holds at most three seconds after it began, and its end, too", async () => {
  expect(await watch.check(asker)).toEqual(OPEN);
  answer = say(DRAIN);
  now = START + 3_000;
  expect(await watch.check(asker)).toEqual(DRAINING);
  answer = say(null);
  now = START + 5_999;
  expect(await watch.check(asker)).toEqual(DRAINING);
  now = START + 6_000;
  expect(await watch.check(asker)).toEqual(OPEN);
});

test("a question that was asked early spares the session the wait", async () => {
  answer = say(DRAIN);
  void watch.refresh(asker);
  await Promise.all(background);
  answer = hang;
  expect(await watch.check(asker)).toEqual(DRAINING);
  expect(questions).toBe(1);
});

test("a clock that was set back makes the answer unusable", async () => {
  await watch.check(asker);
  now = START - 60_000;
  await watch.check(asker);
  expect(questions).toBe(2);
});

describe("a directory that does not answer", () => {
  test.each([
    ["fails", fail],
    ["answers nonsense", say({ until: "soon" })],
    ["refuses", async () => ({ ok: false, error: { code: "object_schema_newer", message: "older" } })],
  ])("and %s opens sessions as long as it knows of no drain", async (_, fault) => {
    answer = fault;
    expect(await watch.check(asker)).toEqual(OPEN);
    // Not asked at every session then.
    now = START + 2_999;
    expect(await watch.check(asker)).toEqual(OPEN);
    expect(questions).toBe(1);
    answer = say(DRAIN);
    now = START + 3_000;
    expect(await watch.check(asker)).toEqual(DRAINING);
  });

  test.each([
    ["fails", fail],
    ["answers nonsense", say({ until: "soon" })],
  ])("and %s does not lift a drain before its end, nor prolong it", async (_, fault) => {
    answer = say(DRAIN);
    expect(await watch.check(asker)).toEqual(DRAINING);
    answer = fault;
    now = START + 59_999;
    expect(await watch.check(asker)).toEqual(DRAINING);
    now = START + 60_000;
    expect(await watch.check(asker)).toEqual(OPEN);
  });

  test("and hangs holds a session up for a second, and the next ones not at all", async () => {
    vi.useFakeTimers();
    answer = hang;
    expect(await checkWithTimers()).toEqual({ checked: OPEN, waited: true });
    now = START + 2_000;
    expect(await checkWithTimers()).toEqual({ checked: OPEN, waited: false });
    expect(questions).toBe(1);
  });

  test("and answers late does not take the place of a newer answer", async () => {
    vi.useFakeTimers();
    answer = hang;
    expect((await checkWithTimers()).checked).toEqual(OPEN);
    const late = Promise.withResolvers<unknown>();
    answer = () => late.promise;
    now = START + 3_000;
    const waiting = watch.check(asker);
    answer = say(DRAIN);
    now = START + 6_000;
    expect(await watch.check(asker)).toEqual(DRAINING);
    late.resolve({ ok: true, value: null });
    expect(await waiting).toEqual(DRAINING);
  });
});
