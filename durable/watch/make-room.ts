/** How long somebody who has left may take to be noticed once something was sent to them, ms. */
const NOTICED_WITHIN_MS = 1_000;
/** How often to look meanwhile, ms. */
const LOOK_EVERY_MS = 20;
/** How often to send something, however many wait for room, ms. */
const PROBE_EVERY_MS = 250;

/**
 * Makes room where readers who have left still count: that the reader of a stream is gone is noticed when
 * something is sent to them, not before. Whoever reloads a page that reads a stream would be refused after a
 * few times.
 */
export class RoomMaker {
  #probedAt = Number.NEGATIVE_INFINITY;

  /**
   * Waits until there is room, for a second at most.
   *
   * @param hasRoom asked again and again
   * @param probe sends something to everybody who may have left
   */
  async make(hasRoom: () => boolean, probe: () => void): Promise<void> {
    for (let waited = 0; waited < NOTICED_WITHIN_MS && !hasRoom(); waited += LOOK_EVERY_MS) {
      this.#probe(probe);
      await new Promise<void>((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** All others read for it, so whoever asks again and again is no reason to do it more often. */
  #probe(probe: () => void): void {
    const now = Date.now();
    // Also after a clock was set back.
    if (Math.abs(now - this.#probedAt) < PROBE_EVERY_MS) return;
    this.#probedAt = now;
    probe();
  }
}
