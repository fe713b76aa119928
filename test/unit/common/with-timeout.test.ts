import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { withTimeout } from "../../../common/with-timeout.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const resolveAfter = (ms: number) => new Promise<string>((resolve) => setTimeout(() => resolve("done"), ms));

it("returns what the work returns in time, and leaves no timer behind", async () => {
  const work = withTimeout(resolveAfter(999), 1_000);
  await vi.advanceTimersByTimeAsync(999);
  expect(await work).toBe("done");
  expect(vi.getTimerCount()).toBe(0);
});

it("rejects with what the work rejects with, and leaves no timer behind", async () => {
  await expect(withTimeout(Promise.reject(new Error("D1_ERROR")), 1_000)).rejects.toThrow("D1_ERROR");
  expect(vi.getTimerCount()).toBe(0);
});

it("rejects when the work takes longer", async () => {
  const work = expect(withTimeout(resolveAfter(1_001), 1_000)).rejects.toThrow("no answer within 1000 ms");
  await vi.advanceTimersByTimeAsync(1_000);
  await work;
});

it("leaves no unhandled rejection when the work fails after the timeout", async () => {
  const failure = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("late")), 2_000));
  const work = expect(withTimeout(failure, 1_000)).rejects.toThrow("no answer");
  await vi.advanceTimersByTimeAsync(3_000);
  await work;
});
