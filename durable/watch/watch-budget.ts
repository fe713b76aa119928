/** What watchers of all sessions of an object are sent in a second. */
export const BYTES_PER_SECOND = 8 * 1024 * 1024;
/** The same while sessions keep the object's thread busy: they come first. */
export const BUSY_BYTES_PER_SECOND = 1024 * 1024;
/** What a line costs beside its bytes: a message of its own for each watcher. */
export const LINE_BYTES = 256;
/** The budget grows for no longer than this. */
const MAX_SAVED_MS = 250;

/** Bounds what watchers cost the sessions that they watch. Pure: the time is an argument. */
export class WatchBudget {
  #bytes = 0;
  #filledAt = 0;

  /** Whether anything may be sent. */
  get isSpent(): boolean {
    return this.#bytes <= 0;
  }

  /** @param now ms since the epoch */
  refill(now: number, isBusy: boolean): void {
    const perSecond = isBusy ? BUSY_BYTES_PER_SECOND : BYTES_PER_SECOND;
    const most = (perSecond * MAX_SAVED_MS) / 1000;
    const gained = (perSecond * Math.min(Math.max(0, now - this.#filledAt), MAX_SAVED_MS)) / 1000;
    this.#filledAt = now;
    this.#bytes = Math.min(most, this.#bytes + gained);
  }

  /** What was sent may be more than there was: the next refills pay for it. */
  spend(bytes: number, lines: number): void {
    this.#bytes -= bytes + lines * LINE_BYTES;
  }
}
