import { expect, it } from "vitest";
import { MessageBudget } from "../../../durable/relay/message-budget.ts";

/** A runtime whose timers ring when the test says so. */
function runtime() {
  const pauses: Promise<void>[] = [];
  const sleepers: (() => void)[] = [];
  const clock = { now: () => 0, sleep: () => new Promise<void>((resolve) => sleepers.push(resolve)) };
  const budget = new MessageBudget((until) => pauses.push(until()), clock);
  return {
    budget,
    pauses,
    async lookAround() {
      for (const wake of sleepers.splice(0)) wake();
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    },
    count(messages: number) {
      for (let n = 0; n < messages; n++) budget.count();
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

it("takes nobody who types for a flood", async () => {
  const { budget, count, lookAround } = runtime();
  for (let key = 0; key < 100; key++) {
    count(1);
    expect(budget.isBusy).toBe(false);
    await lookAround();
  }
});
