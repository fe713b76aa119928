/** An object's one alarm, which an earlier life of the object may have set. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { Alarm } from "../../durable/alarm.ts";

const NOW = 1_000_000;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  return () => vi.useRealTimers();
});

/** Storage that has an alarm, or none. */
function storageWith(alarm: number | null) {
  const storage = {
    alarm,
    getAlarm: async () => storage.alarm,
    setAlarm: vi.fn(async (at: number) => {
      storage.alarm = at;
    }),
  };
  return storage;
}

describe("an alarm", () => {
  it("rings at the earliest time that was asked for", async () => {
    const storage = storageWith(null);
    const alarm = new Alarm(storage);
    for (const ms of [60_000, 30_000, 90_000]) alarm.ringWithin(ms);
    await vi.advanceTimersByTimeAsync(0);
    expect(storage.alarm).toBe(NOW + 30_000);
    alarm.hasRung();
    alarm.ringWithin(90_000);
    expect(storage.alarm).toBe(NOW + 90_000);
  });

  it.each(["at once", "later"])(
    "of an earlier life is not put off by one that asks for a later time %s",
    async (when) => {
      const storage = storageWith(NOW + 10_000);
      const alarm = new Alarm(storage);
      if (when === "later") await vi.advanceTimersByTimeAsync(0);
      alarm.ringWithin(60_000);
      await vi.advanceTimersByTimeAsync(0);
      expect(storage.alarm).toBe(NOW + 10_000);
    },
  );

  it("of an earlier life is brought forward by one that asks for an earlier time", async () => {
    const storage = storageWith(NOW + 10_000);
    new Alarm(storage).ringWithin(5_000);
    await vi.advanceTimersByTimeAsync(0);
    expect(storage.alarm).toBe(NOW + 5_000);
  });

  it.each(["at once", "later"])("of an earlier life that has rung %s counts no more", async (when) => {
    const storage = storageWith(NOW);
    const alarm = new Alarm(storage);
    if (when === "later") await vi.advanceTimersByTimeAsync(0);
    alarm.hasRung();
    await vi.advanceTimersByTimeAsync(0);
    alarm.ringWithin(60_000);
    expect(storage.alarm).toBe(NOW + 60_000);
  });

  it.each(["this life", "an earlier life"])("of %s that never rang is set again, to ring at once", async (whose) => {
    const storage = storageWith(whose === "this life" ? null : NOW + 10_000);
    const alarm = new Alarm(storage);
    await vi.advanceTimersByTimeAsync(0);
    alarm.ringWithin(10_000);
    storage.setAlarm.mockClear();
    // It may only be late.
    await vi.advanceTimersByTimeAsync(39_999);
    alarm.ringWithin(60_000);
    expect(storage.setAlarm).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    alarm.ringWithin(60_000);
    alarm.ringWithin(60_000);
    expect(storage.setAlarm.mock.calls).toEqual([[NOW + 40_000]]);
  });
});
