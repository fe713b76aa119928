/**
 * The sending end of one leg, with back-pressure: what a slow reader has not taken stays at the sender.
 *
 * `WebSocket.send()` never blocks and never fails on a slow reader; it queues without bound in the object's memory.
 * The only brake the platform offers is `blockConcurrencyWhile()`, during which no further frame (nor anything else) is
 * delivered to the object, so that TCP's own flow control reaches the sender. It stops all of the object's sessions,
 * hence short slices: between two of them every waiting event gets its turn, one frame of the stalled session among
 * them. So a stalled reader's queue still grows, by a frame a slice, and the session is ended before it is too much.
 */

/** More than this unsent, and the object stops taking frames. Enough to keep a fast reader busy. */
export const HIGH_WATER_BYTES = 1024 * 1024;
/** It goes on when the reader is down to this. */
const LOW_WATER_BYTES = 512 * 1024;
/** A message that would make it more than this is not queued: the session is ended instead. */
export const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** How long one slow reader may hold up everything else in the object at a time. */
const SLICE_MS = 50;
/** The same once a reader is far behind: fewer frames slip in between, and a kill still comes through in time. */
const LONG_SLICE_MS = 150;
const FAR_BEHIND_BYTES = 2 * HIGH_WATER_BYTES;
const POLL_MS = 1;

/**
 * `bufferedAmount` is there since workerd 1.20261117. Without it nobody can tell what a reader has taken, so all that was
 * ever sent counts as unsent: such a session is ended after MAX_UNSENT_BYTES in one direction, never queued without bound.
 */
interface MeasuredSocket {
  send(message: ArrayBuffer | Uint8Array<ArrayBuffer> | string): void;
  readonly bufferedAmount?: number;
}

export interface SenderClock {
  now(): number;
  sleep(ms: number): Promise<void>;
}

export class BackpressuredSender {
  readonly #socket: MeasuredSocket;
  readonly #hold: (until: () => Promise<void>) => void;
  readonly #clock: SenderClock;
  #sentBytes = 0;
  #takenBytes = 0;
  #progressAt: number;
  #holding = false;

  /** @param hold keeps every other event of the object waiting until the promise is done: `blockConcurrencyWhile` */
  constructor(socket: MeasuredSocket, hold: (until: () => Promise<void>) => void, clock: SenderClock) {
    this.#socket = socket;
    this.#hold = hold;
    this.#clock = clock;
    this.#progressAt = clock.now();
  }

  /** Bytes given to the socket that its reader has not taken. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount ?? this.#sentBytes;
  }

  /** @returns false when the message would be too much on top of what the reader has left: it was not sent */
  send(message: ArrayBuffer | Uint8Array<ArrayBuffer> | string): boolean {
    const bytes = typeof message === "string" ? message.length : message.byteLength;
    if (this.unsentBytes + bytes > MAX_UNSENT_BYTES) return false;
    try {
      this.#socket.send(message);
    } catch {
      // The socket closed under us; its close event follows and says so.
      return true;
    }
    this.#sentBytes += bytes;
    this.#brake();
    return true;
  }

  /** For how long the reader has taken nothing although something waits, ms. To be asked every second or so. */
  stalledMs(): number {
    const unsent = this.unsentBytes;
    const taken = this.#sentBytes - unsent;
    if (unsent === 0 || taken > this.#takenBytes || this.#socket.bufferedAmount === undefined) {
      this.#progressAt = this.#clock.now();
    }
    this.#takenBytes = taken;
    return this.#clock.now() - this.#progressAt;
  }

  #brake(): void {
    const unsent = this.unsentBytes;
    if (unsent <= HIGH_WATER_BYTES || this.#holding || this.#socket.bufferedAmount === undefined) return;
    this.#holding = true;
    this.#hold(() => this.#drained(unsent > FAR_BEHIND_BYTES ? LONG_SLICE_MS : SLICE_MS));
  }

  async #drained(sliceMs: number): Promise<void> {
    const end = this.#clock.now() + sliceMs;
    while (this.unsentBytes > LOW_WATER_BYTES && this.#clock.now() < end) await this.#clock.sleep(POLL_MS);
    this.#holding = false;
  }
}
