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
/** A side that needs longer for `MAX_WORK` is no flood, unless each message takes the object long. */
const WINDOW_MS = 40;
/** Work in a window, from which on it is asked whether the object does nothing else. */
const BUSY_WORK = MAX_WORK / 4;
/**
 * Windows in a row with so much work, after which a timer is to show that the runtime looks around. A ring
 * costs the runtime sixteen looks at all sockets, half a keystroke, so it is not asked for more often.
 */
const BUSY_WINDOWS = 4;
/** Nobody types so fast. */
const MANY_MESSAGES = 16;
const MANY_MESSAGES_PER_MS = 8;
/** Enough for the runtime to look at every other socket. */
const PAUSE_MS = 1;

/**
 * Lets others in while one side floods a session.
 *
 * A message that is in the runtime's buffer is delivered as soon as the one before it is handled. While there
 * are always more, the runtime looks at no timer and no other socket, of any session, for as long as the
 * flood lasts. So after much work in a short time, the object takes none for a moment.
 *
 * The work is counted, since a Worker's clock may stand still meanwhile. Where it goes on, and each message
 * takes the object so long that a window passes before the work is done, the timer tells a flood from
 * somebody who is fast.
 */
export class MessageBudget {
  readonly #pauseInput: PauseInput;
  readonly #clock: Clock;
  readonly #leastWork: number;
  /** Of the window that began then. */
  #beganAt = 0;
  #messages = 0;
  #work = 0;
  /** Before this window, in a row, since a timer rang. */
  #busyWindows = 0;
  #hasTimer = false;

  /** @param leastWork what any message counts, however small */
  constructor(pauseInput: PauseInput, clock: Clock, leastWork = 1) {
    this.#pauseInput = pauseInput;
    this.#clock = clock;
    this.#leastWork = leastWork;
  }

  /** Whether messages come faster than anybody types. */
  get isBusy(): boolean {
    const elapsedMs = this.#clock.now() - this.#beganAt;
    return this.#messages > Math.max(MANY_MESSAGES, MANY_MESSAGES_PER_MS * elapsedMs);
  }

  /**
   * To be called for each message, after it was handled.
   *
   * @param bytes its size
   * @param frames of a protocol inside it that were parsed one by one
   */
  count(bytes: number, frames = 0): void {
    this.#turnWindow();
    this.#messages++;
    this.#work += Math.max(this.#leastWork, bytes / BYTES_OF_A_MESSAGE, frames / FRAMES_OF_A_MESSAGE);
    if (this.#work >= MAX_WORK || this.#busyWindows > BUSY_WINDOWS) this.#pause();
    else if (this.#busyWindows === BUSY_WINDOWS && !this.#hasTimer) void this.#askWhetherItLooksAround();
  }

  #turnWindow(): void {
    const now = this.#clock.now();
    const elapsedMs = now - this.#beganAt;
    // The system's clock may be set back.
    if (elapsedMs >= 0 && elapsedMs < WINDOW_MS) return;
    const wasBusy = this.#work >= BUSY_WORK && elapsedMs >= 0 && elapsedMs < 2 * WINDOW_MS;
    this.#begin(now, wasBusy ? this.#busyWindows + 1 : 0);
  }

  #pause(): void {
    this.#begin(this.#clock.now(), 0);
    this.#pauseInput(() => this.#clock.sleep(PAUSE_MS));
  }

  async #askWhetherItLooksAround(): Promise<void> {
    this.#hasTimer = true;
    await this.#clock.sleep(0);
    this.#hasTimer = false;
    this.#busyWindows = 0;
  }

  #begin(now: number, busyWindows: number): void {
    this.#beganAt = now;
    this.#messages = 0;
    this.#work = 0;
    this.#busyWindows = busyWindows;
  }
}
