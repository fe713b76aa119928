export interface RateLimit {
  readonly maxPerWindow: number;
  readonly windowMs: number;
}

/**
 * Admits a maximum per window of time. A window starts with the first attempt after the previous one ended.
 */
export class RateLimiter {
  readonly #limit: RateLimit;
  #windowStart = 0;
  #acquired = 0;

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /**
   * @param now ms since the epoch
   * @returns whether one more is admitted in this window
   */
  tryAcquire(now: number): boolean {
    if (now - this.#windowStart >= this.#limit.windowMs) {
      this.#windowStart = now;
      this.#acquired = 0;
    }
    return ++this.#acquired <= this.#limit.maxPerWindow;
  }

  /** Whether this window admits no more. Counts nothing. */
  isExhausted(now: number): boolean {
    return now - this.#windowStart < this.#limit.windowMs && this.#acquired >= this.#limit.maxPerWindow;
  }
}
