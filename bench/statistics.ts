/** The benchmark's statistics. Pure. */
import { median, percentile } from "../tools/statistics.ts";

export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function summarize(samples: readonly number[]): Summary {
  return { median: median(samples), min: percentile(samples, 0), max: percentile(samples, 1) };
}

export interface Comparison {
  /** Above 1: more (slower, bigger) than the base. */
  readonly ofMedians: number;
  /** Median of the ratios within each round. More stable if the machine's speed drifts between rounds. */
  readonly pairwise: number;
}

/** Compares samples of the same rounds, in the same order. */
export function compare(samples: readonly number[], base: readonly number[]): Comparison {
  return {
    ofMedians: median(samples) / median(base),
    pairwise: median(pairs(samples, base).map(([own, other]) => own / other)),
  };
}

/** Median of the differences within each round. */
export function added(samples: readonly number[], base: readonly number[]): number {
  return median(pairs(samples, base).map(([own, other]) => own - other));
}

function pairs(left: readonly number[], right: readonly number[]): [number, number][] {
  return left.slice(0, right.length).map((value, index) => [value, right[index] as number]);
}

export interface MedianInterval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/**
 * A median with its 95 % confidence interval: two order statistics, so nothing is assumed of the distribution
 * (Conover, Practical Nonparametric Statistics, 3.2). It needs some tens of samples.
 */
export function medianInterval(samples: readonly number[]): MedianInterval {
  const sorted = samples.toSorted((one, other) => one - other);
  const half = (1.96 * Math.sqrt(sorted.length)) / 2;
  const at = (rank: number) => sorted[Math.min(Math.max(rank, 0), sorted.length - 1)] ?? Number.NaN;
  return {
    median: median(samples),
    low: at(Math.floor(sorted.length / 2 - half)),
    high: at(Math.ceil(sorted.length / 2 + half)),
  };
}

/** Rotates a list, so that no variant is always the first. */
export function rotate<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
