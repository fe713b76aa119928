import { insertEvents } from "../audit/insert-events.ts";
import { withTimeout } from "../common/with-timeout.ts";
import type { SessionStore } from "./store.ts";

/** D1 takes far more in one batch; this keeps one delivery short enough to repeat. */
const BATCH_EVENTS = 50;
const DELIVERY_TIMEOUT_MS = 10_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 30_000;

/**
 * Brings queued events to D1, in order, at least once (D1 ignores the second copy). One delivery at a time.
 *
 * It never throws: what could not be delivered stays queued, and the caller asks `retryInMs` when to come back.
 */
export class Outbox {
  readonly #store: SessionStore;
  readonly #database: D1Database;
  #delivering: Promise<void> | undefined;
  #failures = 0;

  constructor(store: SessionStore, database: D1Database) {
    this.#store = store;
    this.#database = database;
  }

  /** Resolves when the queue is empty or a delivery failed. Joins a delivery that is under way. */
  deliver(): Promise<void> {
    this.#delivering ??= this.#drain().finally(() => {
      this.#delivering = undefined;
    });
    return this.#delivering;
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** How long to wait before the next try: exponential from 1 s to 30 s while deliveries fail. */
  get retryInMs(): number {
    return Math.min(RETRY_FIRST_MS * 2 ** Math.max(0, this.#failures - 1), RETRY_MOST_MS);
  }

  async #drain(): Promise<void> {
    for (;;) {
      const batch = this.#store.queued(BATCH_EVENTS);
      const last = batch.at(-1);
      if (!last) return;
      try {
        await withTimeout(insertEvents(this.#database, batch), DELIVERY_TIMEOUT_MS);
      } catch (error) {
        this.#failures++;
        console.error(`audit: D1 took none of ${batch.length} events (try ${this.#failures}): ${String(error)}`);
        return;
      }
      this.#failures = 0;
      this.#store.delivered(last.n);
    }
  }
}
