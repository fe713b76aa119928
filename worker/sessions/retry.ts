/** When a failed call to a Durable Object is made again. Pure: the clock and the randomness are arguments. */
import { type BackoffLimits, jitteredBackoffMs } from "../../common/backoff.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";

const BACKOFF: BackoffLimits = { firstMs: 200, maxMs: 2_000 };

export interface RetryLimits {
  readonly maxTries: number;
  /** No try starts later than this after the first one, ms. */
  readonly withinMs: number;
  /** How long a try may take, ms: a call to an object that was reset may hang. */
  readonly tryWithinMs?: number;
  /** Whatever failed, and not only what the platform calls retryable. */
  readonly afterAnything: boolean;
}

/** The platform makes retries of its own within each try, so a few are enough: a person waits for the answer. */
export const FEW_RETRIES: RetryLimits = { maxTries: 3, withinMs: 10_000, afterAnything: false };
/**
 * For what is lost unless it arrives. An object that was reset is there again within a second or two, and an
 * invocation may go on for 30 s after its answer.
 */
export const PERSISTENT_RETRIES: RetryLimits = {
  ...{ maxTries: Number.POSITIVE_INFINITY, withinMs: 20_000, tryWithinMs: 5_000 },
  afterAnything: true,
};

export interface RetryTiming {
  /** ms since the epoch */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** A number from 0 up to, not including, 1. */
  random(): number;
}

/** The last try's exception. */
export interface FailedCall {
  readonly tries: number;
  readonly thrown: unknown;
}

const TIMING: RetryTiming = {
  now: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: () => Math.random(),
};

/**
 * Makes a call, and makes it again while the platform says that this may help, or whatever failed
 * (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/).
 *
 * @param call one try; it makes its own stub, since an exception may have broken the one before. It must be
 *   idempotent: a try that failed may have been carried out.
 * @param limits how often, and for how long
 * @param timing only tests pass their own
 */
export async function callWithRetries<T>(
  call: () => Promise<T>,
  { maxTries, withinMs, tryWithinMs, afterAnything }: RetryLimits = FEW_RETRIES,
  timing: RetryTiming = TIMING,
): Promise<Result<T, FailedCall>> {
  const deadline = timing.now() + withinMs;
  for (let tries = 1; ; tries++) {
    try {
      return ok(await (tryWithinMs === undefined ? call() : withTimeout(call(), tryWithinMs)));
    } catch (thrown) {
      const pauseMs = jitteredBackoffMs(tries, BACKOFF, timing.random());
      const isLast = tries === maxTries || timing.now() + pauseMs > deadline;
      if (isLast || !isRetryable(thrown, afterAnything)) return err({ tries, thrown });
      await timing.sleep(pauseMs);
    }
  }
}

/** Retries would keep an overloaded object overloaded. */
function isRetryable(thrown: unknown, afterAnything: boolean): boolean {
  const flags: { readonly retryable?: unknown; readonly overloaded?: unknown } = Object(thrown);
  return flags.overloaded !== true && (afterAnything || flags.retryable === true);
}
