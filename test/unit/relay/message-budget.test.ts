import { expect, it } from "vitest";
import { LEAST_WORK_FROM_CLUSTER, MessageBudget } from "../../../durable/relay/message-budget.ts";

/** A runtime whose clock and timers go on when the test says so. */
function runtime(leastWork?: number) {
  const pauses: Promise<void>[] = [];
  const sleepers: (() => void)[] = [];
  let [timers, now] = [0, 1_800_000_000_000];
  const sleep = () => {
    timers++;
    return new Promise<void>((resolve) => sleepers.push(resolve));
  };
  const budget = new MessageBudget((until) => pauses.push(until()), { now: () => now, sleep }, leastWork);
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

it("pauses the input after every 160 messages while no timer rings", async () => {
  const { count, pauses, lookAround } = runtime();
  count(159);
  expect(pauses).toHaveLength(0);
  count(1 + 160 * 9);
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
  ["32 KiB", 32 * 1024, 0, 160],
  ["256 KiB", 256 * 1024, 0, 20],
  ["8 bytes", 8, 1, 160],
  ["256 KiB with 21,845 frames in them", 256 * 1024, 21_845, 1],
])("pauses by the work that messages of %s are", (_, bytes, frames, messages) => {
  const { count, pauses } = runtime();
  count(messages - 1, bytes, frames);
  expect(pauses).toHaveLength(0);
  count(1, bytes, frames);
  expect(pauses).toHaveLength(1);
});

it.each([0, 0.04, 0.3, 1.3, 40])("pauses for a flood whose messages take %s ms each, whatever the clock says", (ms) => {
  const { count, pass, pauses } = runtime();
  for (let message = 0; message < 1_600; message++) {
    count(1);
    pass(ms);
  }
  expect(pauses).toHaveLength(10);
});

it("pauses for each side of a session by its own messages: of a cluster's tiny ones after 1,280", () => {
  const { count, pauses } = runtime(LEAST_WORK_FROM_CLUSTER);
  count(1_279);
  expect(pauses).toHaveLength(0);
  count(1);
  expect(pauses).toHaveLength(1);
});

it("never pauses for bursts of 30 messages between which the runtime looks around, however many they are", async () => {
  const { count, pauses, timers, lookAround } = runtime();
  for (let burst = 0; burst < 1_000; burst++) {
    count(30);
    await lookAround();
  }
  expect(pauses).toHaveLength(0);
  expect(timers()).toBeGreaterThan(0);
});

it("asks for a timer after 128 keys of somebody who types, not more often", async () => {
  const { budget, count, pass, pauses, timers, lookAround } = runtime();
  for (let key = 0; key < 1_280; key++) {
    count(1);
    expect(budget.isBusy).toBe(false);
    budget.answered();
    pass(0.4);
    await lookAround();
  }
  expect([pauses.length, timers()]).toEqual([0, 10]);
});

it("says that messages come faster than anybody types", () => {
  const { budget, count, pass } = runtime();
  count(16);
  expect(budget.isBusy).toBe(false);
  count(1);
  expect(budget.isBusy).toBe(true);
  // Others have their turns meanwhile: that does not make it slower.
  pass(20);
  count(1);
  expect(budget.isBusy).toBe(true);
  pass(40);
  expect(budget.isBusy).toBe(false);
  count(1);
  expect(budget.isBusy).toBe(false);
});

it("takes nobody for a flood who waits for each answer, however fast they come", () => {
  const { budget, count, pass } = runtime();
  for (let message = 0; message < 1_000; message++) {
    count(1);
    expect(budget.isBusy).toBe(false);
    budget.answered();
    pass(0.2);
  }
});

it("takes nobody for a flood after the system's clock was set back", () => {
  const { budget, count, pass } = runtime();
  count(100);
  pass(-3_600_000);
  count(1);
  expect(budget.isBusy).toBe(false);
});
