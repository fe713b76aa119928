import { expect, it } from "vitest";
import { MessageBudget } from "../../../durable/relay/message-budget.ts";

/** A runtime whose timers ring when the test says so. */
function runtime() {
  const pauses: Promise<void>[] = [];
  const sleepers: (() => void)[] = [];
  let timers = 0;
  const sleep = () => {
    timers++;
    return new Promise<void>((resolve) => sleepers.push(resolve));
  };
  const clock = { now: () => 0, sleep };
  const budget = new MessageBudget((until) => pauses.push(until()), clock);
  return {
    budget,
    pauses,
    timers: () => timers,
    async lookAround() {
      for (const wake of sleepers.splice(0)) wake();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    },
    count(messages: number, bytes = 1, frames = 0) {
      for (let n = 0; n < messages; n++) budget.count(bytes, frames);
    },
  };
}

it("pauses the input after every 128 messages while the runtime looks at no timer", async () => {
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

it("never pauses for messages between which the runtime looks around", async () => {
  const { budget, count, pauses, lookAround } = runtime();
  for (let burst = 0; burst < 100; burst++) {
    count(100);
    expect(budget.isBusy).toBe(true);
    await lookAround();
    expect(budget.isBusy).toBe(false);
  }
  expect(pauses).toHaveLength(0);
});

it("takes nobody who types for a flood, and needs a timer for every eighth key only", async () => {
  const { budget, count, timers, lookAround } = runtime();
  for (let key = 0; key < 100; key++) {
    count(1);
    expect(budget.isBusy).toBe(false);
    await lookAround();
  }
  expect(timers()).toBe(12);
});
