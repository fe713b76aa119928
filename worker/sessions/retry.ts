/** When a failed call to a Durable Object is made again. The clock and the randomness are arguments. */
import { type BackoffLimits, jitteredBackoffMs } from "../../common/backoff.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";

/** The platform makes retries of its own within each try, so a few are enough. */
const MAX_TRIES = 3;
const BACKOFF: BackoffLimits = { firstMs: 200, maxMs: 2_000 };
/** No try starts later than this after the first one: a person waits for the answer. */
const RETRY_WITHIN_MS = 10_000;
/** The same for what must arrive. An invocation may go on for 30 s after its answer. */
const PERSIST_FOR_MS = 20_000;
/** A try that must arrive gets company after this: a call to an object that was reset may hang. */
const HANGS_AFTER_MS = 5_000;

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
      if (isLast || flagsOf(thrown).retryable !== true || isOverloaded(thrown)) return err({ tries, thrown });
      await timing.sleep(pauseMs);
    }
  }
}

/**
 * Makes a call that is lost unless it arrives: for 20 s, whatever failed but an overload, because an object that
 * was reset is there again within a second or two. A try that takes long gets company, and the first to succeed
 * counts.
 *
 * @param call as above; several tries may be under way, and arrive in any order
 * @param timing only tests pass their own
 */
export async function callPersistently<T>(
  call: () => Promise<T>,
  timing: RetryTiming = TIMING,
): Promise<Result<T, FailedCall>> {
  const deadline = timing.now() + PERSIST_FOR_MS;
  const arrived = Promise.withResolvers<Result<T, never>>();
  for (let tries = 1; ; tries++) {
    const trying = call().then(ok, (thrown: unknown) => err(thrown));
    void trying.then((tried) => tried.ok && arrived.resolve(tried));
    const slow = (thrown: unknown) => err(thrown);
    const tried = await withTimeout(Promise.race([arrived.promise, trying]), HANGS_AFTER_MS).catch(slow);
    if (tried.ok) return tried;
    const failed: FailedCall = { tries, thrown: tried.error };
    const pauseMs = jitteredBackoffMs(tries, BACKOFF, timing.random());
    if (isOverloaded(tried.error) || timing.now() + pauseMs > deadline) return err(failed);
    const late = await Promise.race([arrived.promise, timing.sleep(pauseMs)]);
    if (late) return late;
  }
}

/** Retries would keep an overloaded object overloaded. */
function isOverloaded(thrown: unknown): boolean {
  return flagsOf(thrown).overloaded === true;
}

/** What the platform says of an exception. */
function flagsOf(thrown: unknown): { readonly retryable?: unknown; readonly overloaded?: unknown } {
  return Object(thrown);
}
