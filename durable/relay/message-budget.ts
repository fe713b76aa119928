import type { Clock, PauseInput } from "./brake.ts";

/**
 * After so much work it is asked whether the runtime looks around. Usually that is handled in a few
 * milliseconds; the unit is the work for one message of at most `BYTES_OF_A_MESSAGE`.
 *
 * The answer is a timer that rings, which costs the runtime sixteen looks at all its sockets. That is half a
 * keystroke, so it is not asked for more often.
 */
const MUCH_WORK = 128;
/**
 * How much more work there may be before it rings. A larger burst may be paused although the runtime looks
 * around before and after it.
 */
const WORK_WHILE_ASKED = 32;
/** kubectl and the API server send as much in one. So a budget of bulk is 5 MiB, in messages of any size. */
const BYTES_OF_A_MESSAGE = 32 * 1024;
/** To parse so many frames of a protocol inside a message takes about as long as a message. */
const FRAMES_OF_A_MESSAGE = 128;
/**
 * What a message of the cluster's is at least. Tiny ones are only joined. The ordinary ones, of 12 KiB, must
 * not be interrupted often: where the client does not keep up with them, the brake leaves turns for others
 * anyway.
 */
export const LEAST_WORK_FROM_CLUSTER = 1 / 8;
/** Nobody types so much in so short a time without an echo. */
const MANY_MESSAGES = 16;
const SHORT_MS = 40;
/** Enough for the runtime to look at every other socket. */
const PAUSE_MS = 1;

/**
 * Lets others in while one side floods a session.
 *
 * A message that is in the runtime's buffer is delivered as soon as the one before it is handled. While there
 * are always more, the runtime looks at no timer and no other socket, of any session, for as long as the
 * flood lasts. So after some work without a timer in between, the object takes none for a moment.
 *
 * The work is counted: a Worker's clock may stand still meanwhile, and where it does not, it does not tell
 * what is slow from what waits.
 */
export class MessageBudget {
  readonly #pauseInput: PauseInput;
  readonly #clock: Clock;
  readonly #leastWork: number;
  /** Since the runtime is known to have looked around. */
  #work = 0;
  #isAsked = false;
  /** Since `#messagesFrom`, and since the other side last sent something. */
  #messages = 0;
  #messagesFrom = 0;

  /** @param leastWork what any message counts, however small */
  constructor(pauseInput: PauseInput, clock: Clock, leastWork = 1) {
    this.#pauseInput = pauseInput;
    this.#clock = clock;
    this.#leastWork = leastWork;
  }

  /** Whether messages come faster than anybody types, and than anybody waits for answers. */
  get isBusy(): boolean {
    return this.#messages > MANY_MESSAGES && !this.#isLongAgo(this.#clock.now());
  }

  /** The other side has sent something, which may be the answer to the last message. */
  answered(): void {
    this.#messages = 0;
  }

  /**
   * To be called for each message, after it was handled.
   *
   * @param bytes its size
   * @param frames what it took to parse a protocol inside it, in frames
   */
  count(bytes: number, frames = 0): void {
    this.#countMessage();
    this.#work += Math.max(this.#leastWork, bytes / BYTES_OF_A_MESSAGE, frames / FRAMES_OF_A_MESSAGE);
    if (this.#work >= MUCH_WORK + WORK_WHILE_ASKED) this.#pause();
    else if (this.#work >= MUCH_WORK && !this.#isAsked) void this.#askWhetherItLooksAround();
  }

  #countMessage(): void {
    const now = this.#clock.now();
    if (this.#messages === 0 || this.#isLongAgo(now)) {
      this.#messages = 0;
      this.#messagesFrom = now;
    }
    this.#messages++;
  }

  #isLongAgo(now: number): boolean {
    // The system's clock may be set back.
    return Math.abs(now - this.#messagesFrom) >= SHORT_MS;
  }

  #pause(): void {
    this.#work = 0;
    this.#pauseInput(() => this.#clock.sleep(PAUSE_MS));
  }

  /** A timer that rings says that it does. */
  async #askWhetherItLooksAround(): Promise<void> {
    this.#isAsked = true;
    await this.#clock.sleep(0);
    this.#isAsked = false;
    this.#work = 0;
  }
}
