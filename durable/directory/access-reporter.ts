import { backoffMs } from "../../common/backoff.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { type AccessRequest, accessStateOf, MAX_PENDING_REQUESTS } from "../../contract/access.ts";
import { type DirectoryFields, MAX_REPORTED_GRANTS } from "../../contract/directory.ts";
import { HEARTBEAT_MS } from "../intervals.ts";

/** How long whoever asks or decides waits for the directory. */
const WAIT_MS = 1_000;
/** How long a report may take before it counts as lost. */
const REPORT_TIMEOUT_MS = 5_000;
const RETRY_BACKOFF = { firstMs: 1_000, maxMs: 60_000 };
/** How soon a directory that has lost its database knows again what waits. */
export const REPORT_AGAIN_MS = 5 * 60_000;
/** A directory that is away for an hour must not fill the log. */
const LOG_EVERY_FAILURES = 10;

export type AccessReport = DirectoryFields<"reportAccess">;

/** What the reporter needs from its object. */
export interface AccessReporterDependencies {
  readonly objectId: string;
  readonly sql: SqlStorage;
  /** All requests, in no order. */
  readonly requests: () => readonly AccessRequest[];
  /** Brings a report to the directory. May throw, and may take for ever. */
  readonly send: (report: AccessReport) => Promise<unknown>;
  /** Makes sure that `onAlarm` is called within so many ms. */
  readonly ringWithin: (ms: number) => void;
  /** ms since the epoch */
  readonly now: () => number;
}

/**
 * Tells the directory which requests for access wait for a decision, and which hold: after each change, until
 * it has heard, and again every few minutes while there is one. Only in an object that has decided about a
 * request; copies are not reported.
 *
 * Nothing here throws. Whether a report is due is in the object's SQLite, so that no crash loses it.
 */
export class AccessReporter {
  readonly #dependencies: AccessReporterDependencies;
  #failures = 0;

  constructor(dependencies: AccessReporterDependencies) {
    this.#dependencies = dependencies;
  }

  /** To be called after a change. Waits for the directory, but only for a moment. */
  async report(): Promise<void> {
    const sent = this.#reportNow();
    await withTimeout(sent, WAIT_MS).catch(() => {});
  }

  /** Reports if it is due, and sees to the next alarm. */
  async onAlarm(): Promise<void> {
    const { now, ringWithin } = this.#dependencies;
    const last = this.#last;
    if (!last) return;
    if (last.is_taken === 0) return this.#send(last.at);
    const { pending, active } = this.#open();
    if (pending.length === 0 && active.length === 0) return;
    const dueInMs = last.at + REPORT_AGAIN_MS - now();
    if (dueInMs > 0) ringWithin(dueInMs);
    else await this.#reportNow();
  }

  #reportNow(): Promise<void> {
    const at = Math.max(this.#dependencies.now(), (this.#last?.at ?? 0) + 1);
    this.#dependencies.sql.exec("INSERT OR REPLACE INTO access_report (id, at, is_taken) VALUES (1, ?, 0)", at);
    return this.#send(at);
  }

  /** Never rejects. */
  async #send(at: number): Promise<void> {
    const { objectId, sql, send, ringWithin } = this.#dependencies;
    // If this object crashes in between, the alarm sends it.
    ringWithin(HEARTBEAT_MS);
    try {
      const { pending, active } = this.#open();
      await withTimeout(send({ objectId, at, pending, ...(active.length > 0 && { active }) }), REPORT_TIMEOUT_MS);
      this.#failures = 0;
      // Unless something has changed since.
      sql.exec("UPDATE access_report SET is_taken = 1 WHERE at = ?", at);
      if (pending.length > 0 || active.length > 0) ringWithin(REPORT_AGAIN_MS);
    } catch (error) {
      this.#failures++;
      if (this.#failures % LOG_EVERY_FAILURES === 1) {
        logEvent("warn", "directory_not_told", { attempt: this.#failures, error: describeError(error) });
      }
      ringWithin(backoffMs(this.#failures, RETRY_BACKOFF));
    }
  }

  /** Those that wait, and the newest of those that hold. */
  #open(): { readonly pending: AccessRequest[]; readonly active: AccessRequest[] } {
    const { requests, now } = this.#dependencies;
    const at = now();
    const inState = (state: "pending" | "active") =>
      requests()
        .filter((request) => accessStateOf(request, at) === state)
        .sort(newestFirst);
    return {
      pending: inState("pending").slice(0, MAX_PENDING_REQUESTS),
      active: inState("active").slice(0, MAX_REPORTED_GRANTS),
    };
  }

  get #last(): { readonly at: number; readonly is_taken: number } | undefined {
    return this.#dependencies.sql
      .exec<{ at: number; is_taken: number }>("SELECT at, is_taken FROM access_report")
      .toArray()[0];
  }
}

function newestFirst(one: AccessRequest, other: AccessRequest): number {
  return other.requestedAt - one.requestedAt;
}
