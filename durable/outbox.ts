import { insertEvents } from "../audit/insert-events.ts";
import { backoffMs } from "../common/backoff.ts";
import { describeError, logEvent } from "../common/log.ts";
import { STORAGE_TIMEOUTS_MS } from "../common/storage-timeouts.ts";
import { withTimeout } from "../common/with-timeout.ts";
import type { SessionJournal } from "./storage/session-journal.ts";

/** D1 accepts far more in one batch. This keeps a delivery short enough to be repeated. */
export const BATCH_EVENTS = 50;
const RETRY_BACKOFF = { firstMs: 1_000, maxMs: 30_000 };

/**
 * Delivers queued events to D1, in order and at least once; D1 ignores the second copy. One at a time.
 *
 * It never throws: what could not be delivered stays queued, and `retryInMs` says when to try again.
 */
export class Outbox {
  readonly #journal: SessionJournal;
  readonly #database: D1Database;
  #delivering: Promise<void> | undefined;
  #failures = 0;

  constructor(journal: SessionJournal, database: D1Database) {
    this.#journal = journal;
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

  /** How long to wait before the next attempt, ms. */
  get retryInMs(): number {
    return backoffMs(this.#failures, RETRY_BACKOFF);
  }

  async #drain(): Promise<void> {
    for (;;) {
      const batch = this.#journal.queued(BATCH_EVENTS);
      const last = batch.at(-1);
      if (!last) return;
      try {
        await withTimeout(insertEvents(this.#database, batch), STORAGE_TIMEOUTS_MS.d1InsertEvents);
      } catch (error) {
        this.#failures++;
        const fields = { events: batch.length, attempt: this.#failures, error: describeError(error) };
        logEvent("error", "audit_events_not_delivered", fields);
        return;
      }
      this.#failures = 0;
      this.#journal.removeDelivered(last.row_number);
    }
  }
}
