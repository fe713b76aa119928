/**
 * Whether the cluster's side of a session is still there. A connection that was cut without a FIN looks idle for ever, so
 * the object asks: a ping every 15 s, and whoever answers nothing for 60 s is lost.
 *
 * An answer is only owed while it could arrive: not while the object itself reads nothing because the client is slow, and
 * not while bytes of ours are untaken, for the ping waits behind them. When such a time ends, the clock starts afresh.
 */
export const PING_INTERVAL_MS = 15_000;
/** How long an answer may be owed. The API server's own proxies allow the same. */
export const LOST_AFTER_MS = 60_000;

export type LivenessAction = "ping" | "lost";

export class Liveness {
  /** When the cluster was last heard, or could not be: ms since the epoch. */
  #heardAt: number;
  #pingedAt: number;

  constructor(now: number) {
    this.#heardAt = now;
    this.#pingedAt = now;
  }

  /** Anything has arrived: data, a pong, a ping of the cluster's. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /**
   * To be called every second or so.
   *
   * @param canBeHeard whether the object reads, and the cluster has taken all that it was sent
   * @returns what to do now, if anything
   */
  tick(now: number, canBeHeard: boolean): LivenessAction | undefined {
    if (!canBeHeard) this.#heardAt = now;
    // Also while it cannot be heard: a hop between us may cut what is silent, whoever is to blame for the silence.
    if (now - this.#pingedAt >= PING_INTERVAL_MS) {
      this.#pingedAt = now;
      return "ping";
    }
    return now - this.#heardAt >= LOST_AFTER_MS ? "lost" : undefined;
  }
}
