import type { Clock } from "./brake.ts";

/** Does a part of some work up to each `yield`. */
export type Steps = Generator<void>;

/** A promise before the next step may be done, or undefined. */
export type WhenReady = () => Promise<void> | undefined;

/** Bytes of messages whose work is not finished, in all queues of an object. */
export interface HeldBytes {
  bytes: number;
}

/**
 * What may wait in an object. The largest message has 32 MiB. Whoever sends more on top of that pays at once
 * for what waits already, so that memory stays bounded.
 */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

interface Work {
  readonly steps: Steps;
  readonly bytes: number;
}

/** Does long work in order, a step in each turn of the event loop, so that others get their turns. */
export class StepQueue {
  readonly #clock: Clock;
  readonly #heldByAll: HeldBytes;
  readonly #whenReady: WhenReady;
  readonly #onFailure: (error: unknown) => void;
  #work: Work[] = [];
  #heldBytes = 0;
  #running: Promise<void> | undefined;

  /**
   * @param heldByAll shared by the object's queues
   * @param onFailure a step has thrown; nothing more is done. Called once
   */
  constructor(clock: Clock, heldByAll: HeldBytes, whenReady: WhenReady, onFailure: (error: unknown) => void) {
    this.#clock = clock;
    this.#heldByAll = heldByAll;
    this.#whenReady = whenReady;
    this.#onFailure = onFailure;
  }

  get isEmpty(): boolean {
    return this.#work.length === 0;
  }

  /** Bytes of the messages whose work is not finished. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @param bytes what the work holds in memory until its end */
  push(steps: Steps, bytes: number): void {
    this.#work.push({ steps, bytes });
    this.#hold(bytes);
    do this.#step();
    while (this.#heldByAll.bytes > MAX_HELD_BYTES && !this.isEmpty);
    this.#running ??= this.#run();
  }

  /** Resolves when there is nothing more to do. */
  async whenEmpty(): Promise<void> {
    await this.#running;
  }

  /** Forgets what is not done. */
  end(): void {
    this.#work = [];
    this.#hold(-this.#heldBytes);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#heldByAll.bytes += bytes;
  }

  async #run(): Promise<void> {
    while (!this.isEmpty) {
      await (this.#whenReady() ?? this.#clock.sleep(0));
      this.#step();
    }
    this.#running = undefined;
  }

  #step(): void {
    const [first] = this.#work;
    if (!first) return;
    try {
      if (!first.steps.next().done) return;
    } catch (error) {
      this.end();
      this.#onFailure(error);
      return;
    }
    // A step may have ended all of it.
    if (this.#work[0] !== first) return;
    this.#work.shift();
    this.#hold(-first.bytes);
  }
}
