/**
 * Holds back a sender that the platform cannot be told to hold back: a WebSocket delivers its messages as
 * events, whether the other side takes them or not.
 *
 * The only means is `blockConcurrencyWhile()`: meanwhile the object receives no message nor any other event,
 * so that TCP's flow control reaches the sender. It stops all sessions of the object, hence the short slices.
 * Between two slices every waiting event is handled, among them one message of the session.
 */

/** With more untaken bytes, the object takes no messages. Enough to keep a fast reader busy. */
export const HIGH_WATER_BYTES = 1024 * 1024;
/** With no more untaken bytes than this, it takes messages again. */
export const LOW_WATER_BYTES = 512 * 1024;
/** How long one slow reader may stop everything else in the object at a time. */
const SLICE_MS = 50;
/** The first slice where nobody knows within it what the reader takes. */
const BLIND_SLICE_MS = 2;
/** The same for a reader that is far behind: fewer messages arrive, and a kill is still handled in time. */
const LONG_SLICE_MS = 150;
const FAR_BEHIND_BYTES = 2 * HIGH_WATER_BYTES;

export interface Clock {
  /** ms since the epoch. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** `blockConcurrencyWhile`: delays the object's other events until the promise settles. */
export type PauseInput = (until: () => Promise<void>) => void;

export class Brake {
  readonly #pauseInput: PauseInput;
  readonly #clock: Clock;
  #isOn = false;
  /** Of blind slices: how long the next one is, and how much waited at the last. */
  #blindSliceMs = BLIND_SLICE_MS;
  #lastWaiting = 0;

  constructor(pauseInput: PauseInput, clock: Clock) {
    this.#pauseInput = pauseInput;
    this.#clock = clock;
  }

  /**
   * To be called after each message. Where much waits, the next event comes after a slice, or once
   * `whenTaken` resolves.
   *
   * @param waitingBytes how much waits
   * @param whenTaken called at the slice's start, and again while it lasts and much still waits; resolves
   *   after `maxMs` at the latest. Undefined where nobody knows within a slice
   */
  apply(waitingBytes: () => number, whenTaken: ((maxMs: number) => Promise<void>) | undefined): void {
    const waiting = waitingBytes();
    if (waiting <= HIGH_WATER_BYTES) this.#blindSliceMs = BLIND_SLICE_MS;
    if (waiting <= HIGH_WATER_BYTES || this.#isOn) return;
    this.#isOn = true;
    const maxSliceMs = waiting > FAR_BEHIND_BYTES ? LONG_SLICE_MS : SLICE_MS;
    if (whenTaken) this.#pauseInput(() => this.#slice(maxSliceMs, waitingBytes, whenTaken));
    else this.#pauseInput(() => this.#blindSlice(waiting, maxSliceMs));
  }

  /** The reader goes on only between slices: they are as short as they can be while less and less waits. */
  async #blindSlice(waiting: number, maxSliceMs: number): Promise<void> {
    const isCatchingUp = waiting < this.#lastWaiting;
    this.#lastWaiting = waiting;
    const sliceMs = Math.min(this.#blindSliceMs, maxSliceMs);
    this.#blindSliceMs = isCatchingUp ? Math.max(sliceMs / 2, BLIND_SLICE_MS) : sliceMs * 2;
    try {
      await this.#clock.sleep(sliceMs);
    } finally {
      this.#isOn = false;
    }
  }

  async #slice(
    sliceMs: number,
    waitingBytes: () => number,
    whenTaken: (maxMs: number) => Promise<void>,
  ): Promise<void> {
    const end = this.#clock.now() + sliceMs;
    try {
      while (waitingBytes() > LOW_WATER_BYTES && this.#clock.now() < end) {
        await whenTaken(end - this.#clock.now());
      }
    } finally {
      this.#isOn = false;
    }
  }
}
