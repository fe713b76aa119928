import type { Allowance } from "../../contract/request-record.ts";

/** Objects whose allowances an isolate keeps. */
const MAX_OBJECTS = 1_000;

interface Held {
  changes: number;
  /** ms since the epoch */
  until: number;
  /** Changes that used the allowance and whose record is not accepted yet. */
  onTheirWay: number;
}

/**
 * How many changes this isolate may hand on together with their record, per object. The object has reserved
 * them, so none of them exceeds its limit. Pure: the clock is an argument.
 */
export class HeldAllowances {
  readonly #held = new Map<string, Held>();

  /**
   * Takes one change.
   *
   * @param now ms since the epoch
   * @returns false where the object must be asked first
   */
  take(object: string, now: number): boolean {
    const held = this.#held.get(object);
    if (!held || held.changes <= 0 || held.until <= now) return false;
    held.changes--;
    held.onTheirWay++;
    return true;
  }

  /** The record of a change that was taken has its answer, or will get none. */
  arrived(object: string): void {
    const held = this.#held.get(object);
    if (held && held.onTheirWay > 0) held.onTheirWay--;
  }

  /**
   * Keeps what an object grants: everything that this isolate holds, those on their way included.
   *
   * @param askedAt ms since the epoch
   */
  set(object: string, allowance: Allowance | null, askedAt: number): void {
    const onTheirWay = this.#held.get(object)?.onTheirWay ?? 0;
    // All at once, not the oldest: without an allowance a change asks first, and takes a moment longer.
    if (!this.#held.has(object) && this.#held.size >= MAX_OBJECTS) this.#held.clear();
    const changes = Math.max(0, (allowance?.changes ?? 0) - onTheirWay);
    this.#held.set(object, { changes, until: askedAt + (allowance?.validForMs ?? 0), onTheirWay });
  }
}
