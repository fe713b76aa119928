import { describe, expect, it } from "vitest";
import { RateLimiter } from "../../../common/rate-limiter.ts";

const START = Date.parse("2026-11-17T09:30:00Z");
const limiter = () => new RateLimiter({ maxPerWindow: 3, windowMs: 60_000 });
const acquire = (rate: RateLimiter, times: number, now: number) =>
  Array.from({ length: times }, () => rate.tryAcquire(now));

describe("a rate limiter", () => {
  it("admits exactly the maximum in a window, and not one more", () => {
    expect(acquire(limiter(), 5, START)).toEqual([true, true, true, false, false]);
  });

  it("admits again when the window has ended, and not a millisecond earlier", () => {
    const rate = limiter();
    acquire(rate, 3, START);
    expect(rate.tryAcquire(START + 59_999)).toBe(false);
    expect(acquire(rate, 4, START + 60_000)).toEqual([true, true, true, false]);
  });

  it("begins a window with its first attempt, not on the clock's own minute", () => {
    const rate = limiter();
    acquire(rate, 3, START + 40_000);
    expect(rate.tryAcquire(START + 60_000)).toBe(false);
    expect(rate.tryAcquire(START + 100_000)).toBe(true);
  });

  it("does not extend a window by attempts that it refuses", () => {
    const rate = limiter();
    acquire(rate, 100, START);
    expect(rate.tryAcquire(START + 60_000)).toBe(true);
  });

  it("says whether it is exhausted, without counting the question", () => {
    const rate = limiter();
    expect(rate.isExhausted(START)).toBe(false);
    acquire(rate, 2, START);
    for (let asked = 0; asked < 10; asked++) expect(rate.isExhausted(START)).toBe(false);
    expect(rate.tryAcquire(START)).toBe(true);
    expect(rate.isExhausted(START)).toBe(true);
    expect(rate.isExhausted(START + 59_999)).toBe(true);
    expect(rate.isExhausted(START + 60_000)).toBe(false);
  });

  it("that admits none admits none", () => {
    const rate = new RateLimiter({ maxPerWindow: 0, windowMs: 60_000 });
    expect(acquire(rate, 2, START)).toEqual([false, false]);
  });
});
