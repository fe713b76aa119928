/**
 * Sends to one socket with back-pressure: what a slow reader has not taken stays at the other side's sender.
 *
 * `WebSocket.send()` never blocks and never fails on a slow reader; it queues without bound in the object's
 * memory. The platform's only brake is `blockConcurrencyWhile()`: meanwhile the object receives no frame nor
 * any other event, so that TCP's flow control reaches the sender. It stops all sessions of the object, hence
 * the short slices. Between two slices every waiting event is handled, among them one frame of the stalled
 * session. So the queue of a stalled reader still grows by a frame for each slice, and its session ends
 * before the queue is too long.
 */

/** With more unsent bytes, the object takes no frames. Enough to keep a fast reader busy. */
export const HIGH_WATER_BYTES = 1024 * 1024;
/** With no more unsent bytes than this, it takes frames again. */
const LOW_WATER_BYTES = 512 * 1024;
/** A message that would exceed this is not queued; its session ends instead. */
export const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** How long one slow reader may stop everything else in the object at a time. */
const SLICE_MS = 50;
/** The same for a reader that is far behind: fewer frames arrive, and a kill is still handled in time. */
const LONG_SLICE_MS = 150;
const FAR_BEHIND_BYTES = 2 * HIGH_WATER_BYTES;
const POLL_MS = 1;

/**
 * workerd has `bufferedAmount` since 1.20261117. Without it nobody knows what a reader has taken, so all that
 * was ever sent counts as unsent. Such a session ends after MAX_UNSENT_BYTES in one direction; it is never
 * queued without bound.
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
  readonly #pauseInput: (until: () => Promise<void>) => void;
  readonly #clock: SenderClock;
  #sentBytes = 0;
  #takenBytes = 0;
  #progressAt: number;
  #isPaused = false;

  /** @param pauseInput `blockConcurrencyWhile`: delays the object's other events until the promise settles */
  constructor(socket: MeasuredSocket, pauseInput: (until: () => Promise<void>) => void, clock: SenderClock) {
    this.#socket = socket;
    this.#pauseInput = pauseInput;
    this.#clock = clock;
    this.#progressAt = clock.now();
  }

  /** Bytes that were given to the socket and that its reader has not taken. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount ?? this.#sentBytes;
  }

  /** @returns false if the message was not sent because it would exceed MAX_UNSENT_BYTES */
  send(message: ArrayBuffer | Uint8Array<ArrayBuffer> | string): boolean {
    const bytes = typeof message === "string" ? message.length : message.byteLength;
    if (this.unsentBytes + bytes > MAX_UNSENT_BYTES) return false;
    try {
      this.#socket.send(message);
    } catch {
      // The socket has closed; its close event follows.
      return true;
    }
    this.#sentBytes += bytes;
    this.#brake();
    return true;
  }

  /** How long the reader has taken nothing although something waits, ms. To be asked every second or so. */
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
    if (unsent <= HIGH_WATER_BYTES || this.#isPaused || this.#socket.bufferedAmount === undefined) return;
    this.#isPaused = true;
    this.#pauseInput(() => this.#drained(unsent > FAR_BEHIND_BYTES ? LONG_SLICE_MS : SLICE_MS));
  }

  async #drained(sliceMs: number): Promise<void> {
    const end = this.#clock.now() + sliceMs;
    while (this.unsentBytes > LOW_WATER_BYTES && this.#clock.now() < end) await this.#clock.sleep(POLL_MS);
    this.#isPaused = false;
  }
}
