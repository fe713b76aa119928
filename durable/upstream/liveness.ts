/**
 * Whether the cluster's side of a session is still there. A connection that was cut without a FIN looks idle
 * for ever, so the object asks: a ping every 10 s, and whoever answers nothing for 60 s is lost.
 *
 * An answer is only owed while it could arrive: not while the object itself reads nothing because the client
 * is slow, and not while input may be stuck on its way, for the ping waits behind it. When such a time ends,
 * the clock starts afresh.
 */
export const PING_INTERVAL_MS = 10_000;
/** How long an answer may be owed. The API server's own proxies allow the same. */
export const LOST_AFTER_MS = 60_000;
/**
 * A command that reads nothing can be sent this much without holding up what follows: the capacity of its
 * pipe.
 */
export const PIPE_BYTES = 64 * 1024;

export type LivenessAction = "ping" | "lost";

/** What the relay knows at a tick. */
export interface LegState {
  /** Whether the object reads, and the connection has taken all that the cluster was sent. */
  readonly canBeHeard: boolean;
  /** Bytes that the cluster was sent so far. */
  readonly sentBytes: number;
}

export class Liveness {
  /** When the cluster was last heard, or could not be: ms since the epoch. */
  #heardAt: number;
  #pingedAt: number;
  #tickedAt: number;
  /** How much was sent before the ping whose answer is awaited; undefined if none is. */
  #askedAtBytes: number | undefined;
  /** How much of it the cluster has certainly read: it has answered a ping that was sent after. */
  #confirmedBytes = 0;

  constructor(now: number) {
    this.#heardAt = now;
    this.#pingedAt = now;
    this.#tickedAt = now;
  }

  /** Anything has arrived: data, a pong, a ping of the cluster's. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /** A pong has arrived. One may answer several pings (RFC 6455, section 5.5.3): the first of them counts. */
  answered(now: number): void {
    this.heard(now);
    if (this.#askedAtBytes === undefined) return;
    this.#confirmedBytes = this.#askedAtBytes;
    this.#askedAtBytes = undefined;
  }

  /**
   * To be called every second or so.
   *
   * @returns what to do now, if anything
   */
  tick(now: number, { canBeHeard, sentBytes }: LegState): LivenessAction | undefined {
    // The buffers of a connection, a tunnel and an API server hold megabytes that look taken from here.
    const mayBeStuck = sentBytes - this.#confirmedBytes > PIPE_BYTES;
    // After a suspended machine or a clock that jumped, nobody was heard because nobody listened.
    const wasAway = now - this.#tickedAt > PING_INTERVAL_MS;
    this.#tickedAt = now;
    if (!canBeHeard || mayBeStuck || wasAway) this.#heardAt = now;
    // Also while it cannot be heard: a hop between us may cut what is silent, whoever is to blame for the
    // silence.
    if (now - this.#pingedAt >= PING_INTERVAL_MS) {
      this.#pingedAt = now;
      this.#askedAtBytes ??= sentBytes;
      return "ping";
    }
    return now - this.#heardAt >= LOST_AFTER_MS ? "lost" : undefined;
  }
}
