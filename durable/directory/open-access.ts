import type { AccessRequest } from "../../contract/access.ts";
import type { DirectoryFields } from "../../contract/directory.ts";
import type { OpenRequest } from "./tellers.ts";

/** The most requests in a list of those that wait: the newest. */
const MAX_LISTED = 500;
/** The most that are open and told to whoever follows them: those that wait first, then the newest. */
const MAX_FOLLOWED = 1_000;
/** The most that are kept, those that wait first. It takes hundreds of people to get there. */
const MAX_KEPT = 5_000;
/** How long it is known when an object last reported, ms: no report is on its way for longer. */
const REPORTS_KNOWN_FOR_MS = 24 * 60 * 60_000;

/**
 * The requests for access that wait for a decision, or hold, in the whole deployment, as users' objects
 * report them, in the directory's SQLite: its object says nothing for hours, until somebody decides or it
 * ends.
 *
 * Of those that hold, `expires_at` is negative: a build that knows pending ones alone takes them for expired.
 *
 * Times are ms since the epoch.
 */
export class OpenAccess {
  readonly #sql: SqlStorage;
  readonly #maxKept: number;

  /** @param maxKept only tests pass their own */
  constructor(sql: SqlStorage, maxKept = MAX_KEPT) {
    this.#sql = sql;
    this.#maxKept = maxKept;
  }

  /** Takes a report in place of everything that the object has reported before, unless it is not later. */
  report({ objectId, at, pending, active = [] }: DirectoryFields<"reportAccess">, now: number): void {
    const [last] = this.#sql
      .exec<{ at: number }>("SELECT at FROM pending_access_reports WHERE object_id = ?", objectId)
      .toArray();
    if (last && at <= last.at) return;
    this.#forget(now);
    this.#sql.exec("INSERT OR REPLACE INTO pending_access_reports (object_id, at) VALUES (?, ?)", objectId, at);
    this.#sql.exec("DELETE FROM pending_access WHERE object_id = ?", objectId);
    for (const request of pending) this.#insert(objectId, request, request.expiresAt);
    for (const request of active) if (request.active) this.#insert(objectId, request, -request.active.until);
    this.#sql.exec(
      `DELETE FROM pending_access WHERE access_id IN
         (SELECT access_id FROM pending_access ORDER BY expires_at < 0, requested_at DESC LIMIT -1 OFFSET ?)`,
      this.#maxKept,
    );
  }

  #insert(objectId: string, request: AccessRequest, expiresAt: number): void {
    this.#sql.exec(
      `INSERT OR REPLACE INTO pending_access (access_id, object_id, requested_at, expires_at, request)
       VALUES (?, ?, ?, ?, ?)`,
      ...[request.id, objectId, request.requestedAt, expiresAt, JSON.stringify(request)],
    );
  }

  /** Those that wait, the newest first. */
  listPending(now: number): AccessRequest[] {
    return this.#sql
      .exec<{ request: string }>(
        "SELECT request FROM pending_access WHERE expires_at > ? ORDER BY requested_at DESC, access_id LIMIT ?",
        now,
        MAX_LISTED,
      )
      .toArray()
      .map(({ request }) => JSON.parse(request) as AccessRequest);
  }

  /** Those that wait, the newest first, and then those that hold. */
  listOpen(now: number): readonly OpenRequest[] {
    return this.#sql
      .exec<{ id: string; until: number; text: string }>(
        `SELECT access_id AS id, abs(expires_at) AS until, request AS text FROM pending_access
         WHERE expires_at > ? OR expires_at < ? ORDER BY expires_at < 0, requested_at DESC, access_id LIMIT ?`,
        ...[now, -now, MAX_FOLLOWED],
      )
      .toArray();
  }

  #forget(now: number): void {
    this.#sql.exec("DELETE FROM pending_access WHERE expires_at BETWEEN ? AND ?", -now, now);
    this.#sql.exec("DELETE FROM pending_access_reports WHERE at < ?", now - REPORTS_KNOWN_FOR_MS);
  }
}
