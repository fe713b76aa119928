/** The benchmark's statistics. Pure. */
import { Random } from "../tools/random.ts";
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

const RESAMPLES = 200;

/**
 * The ratio of a percentile of two sets of samples that were taken in turn, with its 95 % confidence interval:
 * a bootstrap over the turns, since the samples of one are from the same moment of the machine.
 *
 * @param samples of each turn
 * @param base of the same turns
 * @param share of `percentile`
 */
export function ratioInterval(
  samples: readonly (readonly number[])[],
  base: readonly (readonly number[])[],
  share: number,
): MedianInterval {
  const ratioOf = (turns: readonly number[]) => {
    const at = (all: readonly (readonly number[])[]) =>
      percentile(
        turns.flatMap((turn) => all[turn] ?? []),
        share,
      );
    return at(samples) / at(base);
  };
  const turns = samples.map((_, turn) => turn);
  const random = new Random(1);
  const resampled = Array.from({ length: RESAMPLES }, () => ratioOf(turns.map(() => random.below(turns.length))));
  return { median: ratioOf(turns), low: percentile(resampled, 0.025), high: percentile(resampled, 0.975) };
}

/** Rotates a list, so that no variant is always the first. */
export function rotate<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
