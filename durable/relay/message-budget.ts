import type { Clock, PauseInput } from "./brake.ts";

/** Handled in a few milliseconds. So many messages of bulk are 4 MiB. */
const MAX_MESSAGES = 128;
/** Nobody types so fast. */
const MANY_MESSAGES = 16;
/** Enough for the runtime to look at every other socket. */
const PAUSE_MS = 1;

/**
 * Lets others in while one side floods a session with tiny messages.
 *
 * A message that is in the runtime's buffer is delivered as soon as the one before it is handled. While there
 * are always more, the runtime looks at no timer and no other socket, of any session, for as long as the flood
 * lasts. So after some messages without a timer in between, the object takes none for a moment.
 */
export class MessageBudget {
  readonly #pauseInput: PauseInput;
  readonly #clock: Clock;
  #messages = 0;
  #hasTimer = false;

  constructor(pauseInput: PauseInput, clock: Clock) {
    this.#pauseInput = pauseInput;
    this.#clock = clock;
  }

  /** Whether many messages came since the runtime last looked around. */
  get isBusy(): boolean {
    return this.#messages > MANY_MESSAGES;
  }

  /** To be called for each message. */
  count(): void {
    this.#messages++;
    if (this.#messages >= MAX_MESSAGES) this.#pause();
    else if (!this.#hasTimer) void this.#resetSoon();
  }

  #pause(): void {
    this.#messages = 0;
    this.#pauseInput(() => this.#clock.sleep(PAUSE_MS));
  }

  /** A timer that rings says that the runtime has looked around. */
  async #resetSoon(): Promise<void> {
    this.#hasTimer = true;
    await this.#clock.sleep(0);
    this.#hasTimer = false;
    this.#messages = 0;
  }
}
