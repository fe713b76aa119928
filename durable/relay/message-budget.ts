import type { Clock, PauseInput } from "./brake.ts";

/** Handled in a few milliseconds. The unit is the work for one message of at most `BYTES_OF_A_MESSAGE`. */
const MAX_WORK = 128;
/** kubectl and the API server send as much in one. So a budget of bulk is 4 MiB, in messages of any size. */
const BYTES_OF_A_MESSAGE = 32 * 1024;
/** To parse so many frames of a protocol inside a message takes about as long as a message. */
const FRAMES_OF_A_MESSAGE = 128;
/**
 * What a message of the cluster's is at least. Tiny ones are only joined. The ordinary ones, of 12 KiB, must
 * not be interrupted often: where the client does not keep up with them, the brake leaves turns for others
 * anyway.
 */
export const LEAST_WORK_FROM_CLUSTER = 1 / 8;
/** Nobody types so fast. */
const MANY_MESSAGES = 16;
/** Messages, or work. Less is not worth a timer, which costs the runtime as much as a keystroke does. */
const TIMED_FROM = 8;
/** Enough for the runtime to look at every other socket. */
const PAUSE_MS = 1;

/**
 * Lets others in while one side floods a session.
 *
 * A message that is in the runtime's buffer is delivered as soon as the one before it is handled. While there
 * are always more, the runtime looks at no timer and no other socket, of any session, for as long as the
 * flood lasts. So after some work without a timer in between, the object takes none for a moment.
 *
 * The work is counted, since a Worker's clock stands still meanwhile.
 */
export class MessageBudget {
  readonly #pauseInput: PauseInput;
  readonly #clock: Clock;
  readonly #leastWork: number;
  #messages = 0;
  #work = 0;
  #hasTimer = false;

  /** @param leastWork what any message counts, however small */
  constructor(pauseInput: PauseInput, clock: Clock, leastWork = 1) {
    this.#pauseInput = pauseInput;
    this.#clock = clock;
    this.#leastWork = leastWork;
  }

  /** Whether many messages came since the runtime last looked around. */
  get isBusy(): boolean {
    return this.#messages > MANY_MESSAGES;
  }

  /**
   * To be called for each message, after it was handled.
   *
   * @param bytes its size
   * @param frames of a protocol inside it that were parsed one by one
   */
  count(bytes: number, frames = 0): void {
    this.#messages++;
    this.#work += Math.max(this.#leastWork, bytes / BYTES_OF_A_MESSAGE, frames / FRAMES_OF_A_MESSAGE);
    if (this.#work >= MAX_WORK) this.#pause();
    else if (!this.#hasTimer && Math.max(this.#messages, this.#work) >= TIMED_FROM) void this.#resetSoon();
  }

  #pause(): void {
    this.#reset();
    this.#pauseInput(() => this.#clock.sleep(PAUSE_MS));
  }

  /** A timer that rings says that the runtime has looked around. */
  async #resetSoon(): Promise<void> {
    this.#hasTimer = true;
    await this.#clock.sleep(0);
    this.#hasTimer = false;
    this.#reset();
  }

  #reset(): void {
    this.#messages = 0;
    this.#work = 0;
  }
}
