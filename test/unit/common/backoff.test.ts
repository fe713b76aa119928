import { describe, expect, it } from "vitest";
import { backoffMs, jitteredBackoffMs } from "../../../common/backoff.ts";

const LIMITS = { firstMs: 1_000, maxMs: 30_000 };

describe("the delay before the next attempt", () => {
  it("doubles with each failure, up to the maximum", () => {
    expect([1, 2, 3, 4, 5, 6, 7].map((failures) => backoffMs(failures, LIMITS))).toEqual([
      1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
    ]);
  });

  it("stays at the maximum after any number of failures", () => {
    expect([100, 5_000, Number.MAX_SAFE_INTEGER].map((failures) => backoffMs(failures, LIMITS))).toEqual([
      30_000, 30_000, 30_000,
    ]);
  });

  it("is the first one before any failure", () => {
    expect(backoffMs(0, LIMITS)).toBe(1_000);
  });

  it("never exceeds the maximum, even for the first attempt", () => {
    expect(backoffMs(1, { firstMs: 1_000, maxMs: 500 })).toBe(500);
  });
});

describe("the delay with jitter", () => {
  it("is spread from 0 to the delay without", () => {
    expect([0, 0.5, 0.999_999].map((random) => jitteredBackoffMs(3, LIMITS, random))).toEqual([0, 2_000, 3_999]);
  });

  it("is a whole number of milliseconds", () => {
    expect(jitteredBackoffMs(1, LIMITS, 1 / 3)).toBe(333);
  });
});
