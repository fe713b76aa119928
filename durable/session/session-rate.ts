const WINDOW_MS = 60_000;
/** Sessions that may begin within a minute: far more than a script needs that waits for each. */
export const MAX_SESSIONS_PER_MINUTE = 600;
/** Bytes that the events of sessions may add to the audit log within a minute. */
export const MAX_EVENT_BYTES_PER_MINUTE = 2 * 1024 * 1024;

/**
 * Bounds how fast one person's sessions add to the audit log. An event has the whole command, which may be as
 * long as a URL, or the errors of 64 ports. How much they may add in a day: `maxSessionBytesPerDay` of
 * contract/limits.ts.
 *
 * In memory only: an object that stops ends its sessions, and takes longer to start than this would allow.
 * The day's bytes are in its database.
 */
export class SessionRate {
  #windowStart = 0;
  #sessions = 0;
  #eventBytes = 0;

  /**
   * @param now ms since the epoch
   * @returns after how many ms the next session may begin; 0 for at once
   */
  waitMs(now: number): number {
    this.#roll(now);
    const isExhausted = this.#sessions >= MAX_SESSIONS_PER_MINUTE || this.#eventBytes >= MAX_EVENT_BYTES_PER_MINUTE;
    return isExhausted ? this.#windowStart + WINDOW_MS - now : 0;
  }

  /** Counts a session that begins. */
  begin(now: number): void {
    this.#roll(now);
    this.#sessions++;
  }

  /**
   * Counts an event that was written. Those of open sessions are never refused, but the next session may be.
   */
  wrote(bytes: number, now: number): void {
    this.#roll(now);
    this.#eventBytes += bytes;
  }

  #roll(now: number): void {
    if (now - this.#windowStart < WINDOW_MS) return;
    this.#windowStart = now;
    this.#sessions = 0;
    this.#eventBytes = 0;
  }
}
