import type { Allowance } from "../contract/request-record.ts";

/**
 * How many changes an isolate may hold. With 200 changes a second and 50 ms to the object, 10 are on their
 * way.
 */
const MAX_HELD = 50;
/**
 * What an isolate holds at first; later twice what it has used. One person's requests may come through dozens
 * of isolates, most of which see a single change: what these hold, nobody else can use.
 */
const FIRST_HELD = 4;
const VALID_FOR_MS = 10_000;
/** How much longer an allowance stays reserved: changes that used it may still be on their way here. */
const GRACE_MS = 5_000;
/** Isolates with an allowance. Others ask before each change. */
const MAX_ISOLATES = 64;
const WINDOW_MS = 60_000;

/**
 * Limits one person's changes per minute, without asking before each: isolates hold allowances, which are
 * reserved here. So whatever is handed on without asking was within the limit when it was allowed.
 *
 * In memory only. An object that stops forgets allowances; changes that still use them are counted when they
 * arrive.
 */
export class ChangeAllowances {
  #windowStart = 0;
  #used = 0;
  /** `used`: how many changes it has handed on since it has an allowance. */
  readonly #held = new Map<string, { changes: number; used: number; until: number }>();

  /**
   * Takes one change that was not handed on yet.
   *
   * @param now ms since the epoch
   * @returns 0, or after how many ms to ask again
   */
  take(maxPerMinute: number, now: number): number {
    if (this.#free(maxPerMinute, now) <= 0) return Math.max(1, this.#windowStart + WINDOW_MS - now);
    this.#used++;
    return 0;
  }

  /** Counts a change that an isolate has handed on. */
  spend(isolate: string, now: number): void {
    this.#roll(now);
    this.#used++;
    this.release(isolate);
  }

  /** An isolate has handed something on that is no change of its own: what was reserved for it is free. */
  release(isolate: string): void {
    const held = this.#held.get(isolate);
    if (!held || held.changes <= 0) return;
    held.changes--;
    held.used++;
  }

  /**
   * Fills an isolate's allowance up, with at most half of what is free: others may need the rest.
   *
   * @param room how many more changes the object may take for other reasons
   * @returns all that it holds, or null for none
   */
  grant(isolate: string, maxPerMinute: number, room: number, now: number): Allowance | null {
    const free = Math.min(this.#free(maxPerMinute, now), room - this.reserved(now));
    const before = this.#held.get(isolate);
    if (!before && this.#held.size >= MAX_ISOLATES) return null;
    const { changes: left, used } = before ?? { changes: 0, used: 0 };
    const size = Math.min(MAX_HELD, Math.max(FIRST_HELD, 2 * used));
    const changes = left + Math.max(0, Math.min(size - left, Math.floor(free / 2)));
    if (changes === 0) return null;
    this.#held.set(isolate, { changes, used, until: now + VALID_FOR_MS + GRACE_MS });
    return { changes, validForMs: VALID_FOR_MS };
  }

  /** Changes that isolates may still hand on. */
  reserved(now: number): number {
    let reserved = 0;
    for (const [isolate, { changes, until }] of this.#held) {
      if (until <= now) this.#held.delete(isolate);
      else reserved += changes;
    }
    return reserved;
  }

  #free(maxPerMinute: number, now: number): number {
    this.#roll(now);
    return maxPerMinute - this.#used - this.reserved(now);
  }

  #roll(now: number): void {
    if (now - this.#windowStart < WINDOW_MS) return;
    this.#windowStart = now;
    this.#used = 0;
  }
}
