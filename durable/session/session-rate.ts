import { printableJson } from "../../common/text.ts";

const WINDOW_MS = 60_000;
/** Sessions that may begin within a minute: far more than a script needs that waits for each. */
export const MAX_SESSIONS_PER_MINUTE = 600;
/** Characters that their commands may have in the audit log. */
export const MAX_COMMAND_CHARS_PER_MINUTE = 2 * 1024 * 1024;

/**
 * Bounds what one person's sessions add to the audit log. Each has three events, and its whole command, which may
 * be as long as a URL: without a bound, one person fills the database of all within hours.
 *
 * In memory only: an object that stops ends its sessions, and takes longer to start than this would allow.
 */
export class SessionRate {
  #windowStart = 0;
  #sessions = 0;
  #commandChars = 0;

  /**
   * @param now ms since the epoch
   * @returns after how many ms the next session may begin; 0 for at once
   */
  waitMs(now: number): number {
    this.#roll(now);
    const isExhausted = this.#sessions >= MAX_SESSIONS_PER_MINUTE || this.#commandChars >= MAX_COMMAND_CHARS_PER_MINUTE;
    return isExhausted ? this.#windowStart + WINDOW_MS - now : 0;
  }

  /** Counts a session that begins. */
  count(command: readonly string[], now: number): void {
    this.#roll(now);
    this.#sessions++;
    this.#commandChars += printableJson(command).length;
  }

  #roll(now: number): void {
    if (now - this.#windowStart < WINDOW_MS) return;
    this.#windowStart = now;
    this.#sessions = 0;
    this.#commandChars = 0;
  }
}
