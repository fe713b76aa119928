export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before the next try: exponential, from `firstMs` up to `maxMs`.
 *
 * @param failures tries that have failed in a row, at least 1
 */
export function backoffMs(failures: number, { firstMs, maxMs }: BackoffLimits): number {
  return Math.min(firstMs * 2 ** Math.max(0, failures - 1), maxMs);
}

/**
 * The same with full jitter, so that callers who failed together do not come back together
 * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
 *
 * @param random a number from 0 up to, not including, 1
 */
export function jitteredBackoffMs(failures: number, limits: BackoffLimits, random: number): number {
  return Math.floor(backoffMs(failures, limits) * random);
}
