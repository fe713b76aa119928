import { expect, it } from "vitest";
import { MessageBudget } from "../../../durable/relay/message-budget.ts";

/** A runtime whose clock and timers go on when the test says so. */
function runtime() {
  const pauses: Promise<void>[] = [];
  const sleepers: (() => void)[] = [];
  let [timers, now] = [0, 1_800_000_000_000];
  const sleep = () => {
    timers++;
    return new Promise<void>((resolve) => sleepers.push(resolve));
  };
  const budget = new MessageBudget((until) => pauses.push(until()), { now: () => now, sleep });
  return {
    budget,
    pauses,
    /** Those of the pauses included. */
    timers: () => timers,
    pass(ms: number) {
      now += ms;
    },
    async lookAround() {
      for (const wake of sleepers.splice(0)) wake();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    },
    count(messages: number, bytes = 1, frames = 0) {
      for (let n = 0; n < messages; n++) budget.count(bytes, frames);
    },
  };
}

it("pauses the input after every 128 messages while the clock stands still", async () => {
  const { count, pauses, lookAround } = runtime();
  count(127);
  expect(pauses).toHaveLength(0);
  count(1 + 128 * 9);
  expect(pauses).toHaveLength(10);
  let isOver = false;
  void Promise.all(pauses).then(() => {
    isOver = true;
  });
  await Promise.resolve();
  expect(isOver).toBe(false);
  await lookAround();
  expect(isOver).toBe(true);
});

it.each([
  ["32 KiB", 32 * 1024, 0, 128],
  ["256 KiB", 256 * 1024, 0, 16],
  ["8 bytes", 8, 1, 128],
  ["256 KiB with 21,845 frames in them", 256 * 1024, 21_845, 1],
])("pauses by the work that messages of %s are", (_, bytes, frames, messages) => {
  const { count, pauses } = runtime();
  count(messages - 1, bytes, frames);
  expect(pauses).toHaveLength(0);
  count(1, bytes, frames);
  expect(pauses).toHaveLength(1);
});

it.each([0.04, 0.1, 0.3])("pauses for a flood whose messages take %s ms each while the clock goes on", (ms) => {
  const { count, pass, pauses } = runtime();
  for (let message = 0; message < 1_280; message++) {
    count(1);
    pass(ms);
  }
  expect(pauses).toHaveLength(10);
});

it.each([
  ["0.4 ms", 0.4],
  ["1 ms", 1],
])("pauses for a flood whose messages take %s each while no timer rings, within 0.2 s", (_, ms) => {
  const { count, pass, pauses, timers } = runtime();
  for (let message = 0; message < 2_000 / ms; message++) {
    count(1);
    pass(ms);
  }
  // One timer while there was time to ring, and one for each pause.
  expect(pauses.length).toBeGreaterThanOrEqual(9);
  expect(timers()).toBe(pauses.length + 1);
});

it("never pauses for somebody as fast while timers ring, and asks for one in 0.2 s at most", async () => {
  const { budget, count, pass, pauses, timers, lookAround } = runtime();
  for (let key = 0; key < 10_000; key++) {
    count(1);
    expect(budget.isBusy).toBe(false);
    pass(0.4);
    await lookAround();
  }
  expect(pauses).toHaveLength(0);
  expect(timers()).toBeLessThanOrEqual((10_000 * 0.4) / 160);
});

it("needs no timer for anybody who types more slowly, whatever they paste now and then", async () => {
  const { budget, count, pass, pauses, timers } = runtime();
  for (let second = 0; second < 100; second++) {
    for (let key = 0; key < 500; key++) {
      count(1);
      expect(budget.isBusy).toBe(false);
      pass(2);
    }
    count(100);
    pass(80);
  }
  expect([pauses.length, timers()]).toEqual([0, 0]);
});

it("says that messages come faster than anybody types, until they do not", () => {
  const { budget, count, pass } = runtime();
  count(16);
  expect(budget.isBusy).toBe(false);
  count(1);
  expect(budget.isBusy).toBe(true);
  pass(3);
  expect(budget.isBusy).toBe(false);
  count(20);
  expect(budget.isBusy).toBe(true);
});

it("goes on where the system's clock is set back", () => {
  const { count, pass, pauses } = runtime();
  count(127);
  pass(-3_600_000);
  count(127);
  expect(pauses).toHaveLength(0);
  count(1);
  expect(pauses).toHaveLength(1);
});
