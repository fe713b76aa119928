/**
 * kubectl answers every refused WebSocket upgrade with a SPDY POST of the same request, and shows the person the
 * answer to that one. So the refusal of the first half is kept for a moment, to be given again to the second: the
 * person reads why, the attempt counts once.
 */

const KEEP_MS = 30_000;
const MAX_KEPT = 64;

/** A refusal as it goes over the wire. */
export interface RefusalResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export class RefusedAttempts {
  readonly #kept = new Map<string, RefusalResponse & { readonly at: number }>();

  /** @param attempt see `attemptKey` */
  remember(attempt: string, refusal: RefusalResponse, now: number): void {
    this.#kept.delete(attempt);
    this.#kept.set(attempt, { ...refusal, at: now });
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_KEPT && !oldest.done) this.#kept.delete(oldest.value);
  }

  /** Takes the first half's refusal out: one second half a first half, so that a later SPDY attempt stands alone. */
  take(attempt: string, now: number): RefusalResponse | undefined {
    const kept = this.#kept.get(attempt);
    this.#kept.delete(attempt);
    return kept && now - kept.at <= KEEP_MS ? kept : undefined;
  }
}

/**
 * What both halves have in common: the request, and kubectl's `Kubectl-Session`. That header alone would be a hint
 * from the client, and could give one request's answer to another.
 */
export function attemptKey(url: string, kubectlSession: string | null): string {
  return JSON.stringify([url, kubectlSession]);
}

const RATE_WINDOW_MS = 60_000;
/** More than a person, or a retrying script, makes; fewer than would fill the record. */
export const MAX_RECORDED_PER_WINDOW = 120;

/** How many refused attempts of one user go into the record: each costs two rows there, and nothing to make. */
export class RateLimiter {
  #windowStart = 0;
  #recorded = 0;

  /** @returns whether one more is recorded */
  tryAcquire(now: number): boolean {
    if (now - this.#windowStart >= RATE_WINDOW_MS) {
      this.#windowStart = now;
      this.#recorded = 0;
    }
    return ++this.#recorded <= MAX_RECORDED_PER_WINDOW;
  }

  /** Whether as many are recorded as may be. */
  isSpent(now: number): boolean {
    return now - this.#windowStart < RATE_WINDOW_MS && this.#recorded >= MAX_RECORDED_PER_WINDOW;
  }
}
