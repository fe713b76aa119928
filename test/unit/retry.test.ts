import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { callPersistently, callWithRetries, type RetryTiming } from "../../worker/sessions/retry.ts";

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

describe("a call that must arrive", () => {
  test("is made again for 20 s, with pauses that grow to 2 s", async () => {
    let tries = 0;
    const failing = callPersistently(async () => {
      tries++;
      throw RETRYABLE;
    }, timing);
    expect(await failing).toMatchObject({ ok: false, error: { tries } });
    expect(pauses.slice(0, 6)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    const waited = pauses.reduce((sum, pause) => sum + pause, 0);
    expect(waited).toBeGreaterThan(19_000);
    expect(waited).toBeLessThanOrEqual(20_000);
  });

  test("is made again after anything but overload", async () => {
    for (const thrown of [platformError({ remote: true }), new Error("reset"), "retryable", null, undefined]) {
      let tries = 0;
      const failOnce = async () => {
        if (tries++ === 0) throw thrown;
        return "done";
      };
      expect(await callPersistently(failOnce, timing)).toEqual({ ok: true, value: "done" });
    }
    const overloaded = platformError({ retryable: true, overloaded: true });
    const failing = callPersistently(() => Promise.reject(overloaded), timing);
    expect(await failing).toEqual({ ok: false, error: { tries: 1, thrown: overloaded } });
  });

  describe("and takes long", () => {
    beforeEach(() => {
      vi.useFakeTimers();
      const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
      timing = { now: () => Date.now(), sleep, random: () => 0.5 };
    });
    afterEach(() => void vi.useRealTimers());

    /** Tries that end when the test says so. */
    function tried() {
      const tries: PromiseWithResolvers<string>[] = [];
      const calling = callPersistently(() => {
        const one = Promise.withResolvers<string>();
        tries.push(one);
        return one.promise;
      }, timing);
      return { tries, calling };
    }

    test("gets company, and the first to succeed counts", async () => {
      for (const which of [0, 1]) {
        const { tries, calling } = tried();
        await vi.advanceTimersByTimeAsync(4_999);
        expect(tries).toHaveLength(1);
        await vi.advanceTimersByTimeAsync(200);
        expect(tries).toHaveLength(2);
        tries[which]?.resolve(`try ${which}`);
        expect(await calling).toEqual({ ok: true, value: `try ${which}` });
      }
    });

    test("counts if it succeeds while the next one is waited for, whatever the others do later", async () => {
      const { tries, calling } = tried();
      await vi.advanceTimersByTimeAsync(5_050);
      tries[0]?.resolve("late");
      expect(await calling).toEqual({ ok: true, value: "late" });
      await vi.advanceTimersByTimeAsync(60_000);
      expect(tries).toHaveLength(1);
    });

    test("is given up once no try helped", async () => {
      const { tries, calling } = tried();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(await calling).toMatchObject({ ok: false, error: { tries: tries.length } });
      expect(tries.length).toBeLessThan(6);
      // Too late for anybody.
      for (const one of tries) one.reject(new Error("late"));
    });
  });
});
