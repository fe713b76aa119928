/** When a failed call to a Durable Object is made again. Pure: the clock and the randomness are arguments. */
import { type BackoffLimits, jitteredBackoffMs } from "../../common/backoff.ts";
import { err, ok, type Result } from "../../common/result.ts";

/** The platform makes retries of its own within each try, so a few are enough. */
const MAX_TRIES = 3;
const BACKOFF: BackoffLimits = { firstMs: 200, maxMs: 2_000 };
/** No try starts later than this after the first one: a person waits for the answer. */
const RETRY_WITHIN_MS = 10_000;

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
 * Makes a call, and makes it again while the platform says that this may help
 * (https://developers.cloudflare.com/durable-objects/best-practices/error-handling/).
 *
 * @param call one try; it makes its own stub, since an exception may have broken the one before. It must be
 *   idempotent: a try that failed may have been carried out.
 * @param timing only tests pass their own
 */
export async function callWithRetries<T>(
  call: () => Promise<T>,
  timing: RetryTiming = TIMING,
): Promise<Result<T, FailedCall>> {
  const deadline = timing.now() + RETRY_WITHIN_MS;
  for (let tries = 1; ; tries++) {
    try {
      return ok(await call());
    } catch (thrown) {
      const pauseMs = jitteredBackoffMs(tries, BACKOFF, timing.random());
      const isLast = tries === MAX_TRIES || timing.now() + pauseMs > deadline;
      if (isLast || !isRetryable(thrown)) return err({ tries, thrown });
      await timing.sleep(pauseMs);
    }
  }
}

/** Only what the platform calls retryable. Retries would keep an overloaded object overloaded. */
function isRetryable(thrown: unknown): boolean {
  if (typeof thrown !== "object" || thrown === null) return false;
  const { retryable, overloaded }: { retryable?: unknown; overloaded?: unknown } = thrown;
  return retryable === true && overloaded !== true;
}
