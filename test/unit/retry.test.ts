import { beforeEach, describe, expect, test } from "vitest";
import { callWithRetries, type RetryTiming } from "../../worker/sessions/retry.ts";

/** An exception as the platform throws it. */
function platformError(flags: object): Error {
  return Object.assign(new Error("Network connection lost."), flags);
}

const RETRYABLE = platformError({ retryable: true });

let pauses: number[];
let timing: RetryTiming;
beforeEach(() => {
  pauses = [];
  let now = 0;
  timing = {
    now: () => now,
    sleep: async (ms) => {
      pauses.push(ms);
      now += ms;
    },
    random: () => 0.5,
  };
});

/** Makes a call whose tries throw these, and which succeeds after them. */
async function call(...thrown: unknown[]) {
  const remaining = [...thrown];
  return callWithRetries(async () => {
    if (remaining.length > 0) throw remaining.shift();
    return "done";
  }, timing);
}

describe("a call to an object", () => {
  test("is made once if it succeeds", async () => {
    expect(await call()).toEqual({ ok: true, value: "done" });
    expect(pauses).toEqual([]);
  });

  test("is made again, after a growing pause with jitter, where the platform says so", async () => {
    expect(await call(RETRYABLE, RETRYABLE)).toEqual({ ok: true, value: "done" });
    expect(pauses).toEqual([100, 200]);
  });

  test("is made three times at most", async () => {
    const last = platformError({ retryable: true });
    expect(await call(RETRYABLE, RETRYABLE, last)).toEqual({ ok: false, error: { tries: 3, thrown: last } });
  });

  test("is not made again after so much time that nobody waits any longer", async () => {
    const slow = callWithRetries(async () => {
      await timing.sleep(11_000);
      throw RETRYABLE;
    }, timing);
    expect(await slow).toMatchObject({ ok: false, error: { tries: 1 } });
  });

  test.each<[string, unknown]>([
    ["an overloaded object", platformError({ retryable: true, overloaded: true })],
    ["an exception of the object's own code", platformError({ remote: true })],
    ["a flag that is not true", platformError({ retryable: "true" })],
    ["an exception without flags", new Error("reset")],
    ["a thrown string", "retryable"],
    ["a thrown null", null],
    ["a thrown undefined", undefined],
  ])("is not made again after %s", async (_, thrown) => {
    expect(await call(thrown)).toEqual({ ok: false, error: { tries: 1, thrown } });
    expect(pauses).toEqual([]);
  });
});
