import type { AccessRequest } from "../../contract/access.ts";
import type { DirectoryFields } from "../../contract/directory.ts";

/** The most requests in a list: the newest. */
const MAX_LISTED = 500;
/** The most that are kept. Each person may have some, so it takes hundreds of people to get there. */
const MAX_KEPT = 5_000;
/** How long it is known when an object last reported, ms: no report is on its way for longer. */
const REPORTS_KNOWN_FOR_MS = 24 * 60 * 60_000;

/**
 * The requests for access that wait for a decision in the whole deployment, as users' objects report them, in
 * the directory's SQLite: a request may wait for hours, and its object says nothing until it is decided.
 *
 * Times are ms since the epoch.
 */
export class PendingAccess {
  readonly #sql: SqlStorage;
  readonly #maxKept: number;

  /** @param maxKept only tests pass their own */
  constructor(sql: SqlStorage, maxKept = MAX_KEPT) {
    this.#sql = sql;
    this.#maxKept = maxKept;
  }

  /** Takes a report in place of everything that the object has reported before, unless it is not later. */
  report({ objectId, at, pending }: DirectoryFields<"reportAccess">, now: number): void {
    const [last] = this.#sql
      .exec<{ at: number }>("SELECT at FROM pending_access_reports WHERE object_id = ?", objectId)
      .toArray();
    if (last && at <= last.at) return;
    this.#forget(now);
    this.#sql.exec("INSERT OR REPLACE INTO pending_access_reports (object_id, at) VALUES (?, ?)", objectId, at);
    this.#sql.exec("DELETE FROM pending_access WHERE object_id = ?", objectId);
    for (const request of pending) {
      this.#sql.exec(
        `INSERT OR REPLACE INTO pending_access (access_id, object_id, requested_at, expires_at, request)
         VALUES (?, ?, ?, ?, ?)`,
        ...[request.id, objectId, request.requestedAt, request.expiresAt, JSON.stringify(request)],
      );
    }
    this.#sql.exec(
      `DELETE FROM pending_access WHERE access_id IN
         (SELECT access_id FROM pending_access ORDER BY requested_at DESC LIMIT -1 OFFSET ?)`,
      this.#maxKept,
    );
  }

  /** The newest first. */
  list(now: number): AccessRequest[] {
    return this.#sql
      .exec<{ request: string }>(
        "SELECT request FROM pending_access WHERE expires_at > ? ORDER BY requested_at DESC, access_id LIMIT ?",
        now,
        MAX_LISTED,
      )
      .toArray()
      .map(({ request }) => JSON.parse(request) as AccessRequest);
  }

  #forget(now: number): void {
    this.#sql.exec("DELETE FROM pending_access WHERE expires_at <= ?", now);
    this.#sql.exec("DELETE FROM pending_access_reports WHERE at < ?", now - REPORTS_KNOWN_FOR_MS);
  }
}
