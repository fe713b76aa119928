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
 * A command that reads nothing can be sent this much without holding up what follows. Its pipe has 16 pages
 * of 4 KiB, and writes of unlucky sizes fill each of them half.
 */
export const PIPE_BYTES = 32 * 1024;

const PAYLOAD_BYTES = 8;

export type LivenessAction =
  /** The pong comes back with the payload (RFC 6455, section 5.5.3), and goes to `answered`. */
  { readonly kind: "ping"; readonly payload: Uint8Array } | { readonly kind: "lost" };

/** What the relay knows at a tick. */
export interface LegState {
  /** Whether the object reads, and the connection has taken all that the cluster was sent. */
  readonly canBeHeard: boolean;
  /** Bytes of all messages that the cluster was sent so far. */
  readonly sentBytes: number;
}

export class Liveness {
  /** When the cluster was last heard, or could not be: ms since the epoch. */
  #heardAt: number;
  #pingedAt: number;
  #tickedAt: number;
  /** How much was sent before the last ping. */
  #askedAtBytes = 0;
  /** How much of it the cluster has certainly read: it has answered a ping that was sent after. */
  #confirmedBytes = 0;
  /** How much had been sent when the session last printed something. */
  #outputAtBytes = 0;

  constructor(now: number) {
    this.#heardAt = now;
    this.#pingedAt = now;
    this.#tickedAt = now;
  }

  /** Data has arrived. @param sentBytes as in `LegState` */
  heard(now: number, sentBytes: number): void {
    this.#heardAt = now;
    this.#outputAtBytes = sentBytes;
  }

  /**
   * A pong has arrived. On a slow way it may be the answer to any earlier ping, and says no more than that
   * one asked. One pong may answer several pings: it then has the payload of the last.
   */
  answered(now: number, payload: Uint8Array): void {
    this.#heardAt = now;
    const confirmed = readCount(payload);
    if (confirmed <= this.#askedAtBytes) this.#confirmedBytes = Math.max(this.#confirmedBytes, confirmed);
  }

  /**
   * To be called every second or so.
   *
   * @returns what to do now, if anything
   */
  tick(now: number, { canBeHeard, sentBytes }: LegState): LivenessAction | undefined {
    // After a suspended machine or a clock that jumped, nobody was heard because nobody listened.
    const wasAway = now - this.#tickedAt > PING_INTERVAL_MS;
    this.#tickedAt = now;
    if (!canBeHeard || this.#mayBeStuck(sentBytes) || wasAway) this.#heardAt = now;
    // Also while it cannot be heard: a hop between us may cut what is silent, whoever is to blame for the
    // silence.
    if (now - this.#pingedAt >= PING_INTERVAL_MS) {
      this.#pingedAt = now;
      this.#askedAtBytes = sentBytes;
      return { kind: "ping", payload: writeCount(sentBytes) };
    }
    return now - this.#heardAt >= LOST_AFTER_MS ? { kind: "lost" } : undefined;
  }

  /**
   * The buffers of a connection, a tunnel and an API server hold megabytes that look taken from here. They
   * may have filled up slowly, with pongs in between: then a single byte more is stuck. A command that prints
   * something is taken to read, too.
   */
  #mayBeStuck(sentBytes: number): boolean {
    const unconfirmed = sentBytes - this.#confirmedBytes;
    return unconfirmed > PIPE_BYTES || (unconfirmed > 0 && sentBytes - this.#outputAtBytes > PIPE_BYTES);
  }
}

function writeCount(count: number): Uint8Array {
  const payload = new Uint8Array(PAYLOAD_BYTES);
  new DataView(payload.buffer).setFloat64(0, count);
  return payload;
}

/** @returns 0 for a pong that answers no ping of this session's */
function readCount(payload: Uint8Array): number {
  if (payload.length !== PAYLOAD_BYTES) return 0;
  return new DataView(payload.buffer, payload.byteOffset, PAYLOAD_BYTES).getFloat64(0);
}
