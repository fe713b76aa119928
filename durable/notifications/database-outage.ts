/**
 * An outage of the audit database concerns everybody, so people hear of it once, from the directory. Users'
 * objects, which notice it, tell the directory.
 */

import type { Alarm } from "../alarm.ts";
import { makeEventId } from "../event-id.ts";
import { OUTAGE_OVER_AFTER_MS, REPORT_OUTAGE_MS, STALLED_AFTER_MS } from "./limits.ts";
import type { Notifier } from "./notifier.ts";

/** How exactly the directory remembers the last report, ms: each costs a row, and objects are many. */
const STORE_REPORTS_EVERY_MS = 30_000;

/** Tells the directory that a user's events wait for D1. */
export class OutageReporter {
  readonly #tell: (since: number) => Promise<unknown>;
  #toldAt = Number.NEGATIVE_INFINITY;

  /** @param tell brings it to the directory; may fail, and is tried again at the next failed delivery */
  constructor(tell: (since: number) => Promise<unknown>) {
    this.#tell = tell;
  }

  /**
   * To be called when D1 did not accept events.
   *
   * @param oldestAt of the events that wait, ms since the epoch
   * @param now ms since the epoch
   */
  notDelivered(oldestAt: number, now: number): void {
    if (now - oldestAt < STALLED_AFTER_MS || now - this.#toldAt < REPORT_OUTAGE_MS) return;
    this.#toldAt = now;
    this.#tell(oldestAt).catch(() => {
      this.#toldAt = Number.NEGATIVE_INFINITY;
    });
  }
}

/** What the directory knows of an outage, in its SQLite: a restart neither repeats nor forgets one. */
export class DatabaseOutage {
  readonly #state: Pick<DurableObjectState, "id" | "storage">;
  readonly #alarm: Pick<Alarm, "ringWithin">;
  readonly #notifier: Pick<Notifier, "notify">;

  constructor(
    state: Pick<DurableObjectState, "id" | "storage">,
    alarm: Pick<Alarm, "ringWithin">,
    notifier: Pick<Notifier, "notify">,
  ) {
    this.#state = state;
    this.#alarm = alarm;
    this.#notifier = notifier;
  }

  /**
   * An object has events since `since` that D1 does not accept. The first report of an outage is told.
   *
   * @param now ms since the epoch
   */
  report(since: number, now: number): void {
    const outage = this.#outage;
    if (!outage) {
      this.#store(since, now);
      this.#notifier.notify(makeEventId(this.#state.id, now), now, { type: "database_stalled", data: { since } });
    } else if (now - outage.reported_at >= STORE_REPORTS_EVERY_MS) {
      this.#store(Math.min(since, outage.since), now);
    }
    this.#alarm.ringWithin(OUTAGE_OVER_AFTER_MS);
  }

  /** Since when events have waited, ms since the epoch; null while nobody says that any wait. */
  get since(): number | null {
    return this.#outage?.since ?? null;
  }

  /** To be called at each alarm: it says that an outage is over, if it is. */
  onAlarm(now: number): void {
    const outage = this.#outage;
    if (!outage) return;
    const quietInMs = outage.reported_at + OUTAGE_OVER_AFTER_MS - now;
    if (quietInMs > 0) {
      this.#alarm.ringWithin(quietInMs);
      return;
    }
    this.#state.storage.sql.exec("DELETE FROM database_outage");
    const data = { since: outage.since, until: outage.reported_at };
    this.#notifier.notify(makeEventId(this.#state.id, now), now, { type: "database_recovered", data });
  }

  get #outage(): { readonly since: number; readonly reported_at: number } | undefined {
    return this.#state.storage.sql
      .exec<{ since: number; reported_at: number }>("SELECT since, reported_at FROM database_outage")
      .toArray()[0];
  }

  #store(since: number, reportedAt: number): void {
    this.#state.storage.sql.exec(
      "INSERT OR REPLACE INTO database_outage (id, since, reported_at) VALUES (1, ?, ?)",
      since,
      reportedAt,
    );
  }
}
