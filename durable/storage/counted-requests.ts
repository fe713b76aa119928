import type { RequestSummary } from "../../audit/request-events.ts";

/** What counted requests have in common. */
export type SummaryKey = Omit<RequestSummary, "count" | "first_at" | "last_at">;

/** How long counted requests wait for their summary. */
export const SUMMARY_AFTER_MS = 60_000;
/** The same of writes that repeat others, which go on for as long as a controller runs. */
export const REPEATED_SUMMARY_AFTER_MS = 60 * 60_000;

/** Kinds that are counted apart. What fits none of them is counted together. */
const MAX_KINDS = 20;
/** Targets of repeated writes. They are never counted together: what was written would be lost. */
const MAX_REPEATED = 200;

const OF_SEVERAL_KINDS = "of several kinds: more of them than get a row each";
/** The `reason` of a summary of repeated writes. */
export const REPEATED_REASON = "repeated writes of the same object, or of one namespace's events";

/** Whether a row counts repeated writes. Only their reason says so. */
const IS_REPEATED = `coalesce(counted ->> '$.reason', '') = '${REPEATED_REASON.replaceAll("'", "''")}'`;
const DUE_AT = `first_at + CASE WHEN ${IS_REPEATED} THEN ${REPEATED_SUMMARY_AFTER_MS} ELSE ${SUMMARY_AFTER_MS} END`;

interface CountedRow extends Record<string, SqlStorageValue> {
  readonly counted: string;
  readonly count: number;
  readonly first_at: number;
  readonly last_at: number;
}

/**
 * API requests that are too many for an event each, in the object's SQLite until their summary is written.
 */
export class CountedRequests {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * @param at when it arrived, ms since the epoch
   * @returns whether it is the first of its kind since the last summary
   */
  add(key: SummaryKey, at: number): boolean {
    const own = JSON.stringify(key);
    if (this.#increment(own, at)) return false;
    const counted = this.#kinds("NOT") < MAX_KINDS ? own : JSON.stringify(withoutKind(key));
    if (counted !== own && this.#increment(counted, at)) return false;
    this.#insert(counted, at);
    return true;
  }

  /**
   * Counts a write that repeats others.
   *
   * @param at when it arrived, ms since the epoch
   * @returns false where too many targets are counted already; then it is not counted
   */
  addRepeated(key: Omit<SummaryKey, "reason">, at: number): boolean {
    const counted = JSON.stringify({ ...key, reason: REPEATED_REASON });
    if (this.#increment(counted, at)) return true;
    if (this.#kinds("") >= MAX_REPEATED) return false;
    this.#insert(counted, at);
    return true;
  }

  /** When the next summary is due, ms since the epoch; null where nothing is counted. */
  get nextDueAt(): number | null {
    return this.#sql.exec<{ due: number | null }>(`SELECT min(${DUE_AT}) AS due FROM request_counts`).one().due;
  }

  /** Takes out what has waited for long enough. */
  takeDue(now: number): RequestSummary[] {
    return this.#sql
      .exec<CountedRow>(
        `DELETE FROM request_counts WHERE ${DUE_AT} <= ? RETURNING counted, count, first_at, last_at`,
        now,
      )
      .toArray()
      .map(({ counted, ...counts }) => ({ ...(JSON.parse(counted) as SummaryKey), ...counts }));
  }

  /** @param not whether those that are no repeated writes are counted */
  #kinds(not: "" | "NOT"): number {
    const sql = `SELECT count(*) AS kinds FROM request_counts WHERE ${not} ${IS_REPEATED}`;
    return this.#sql.exec<{ kinds: number }>(sql).one().kinds;
  }

  #insert(counted: string, at: number): void {
    this.#sql.exec(
      "INSERT INTO request_counts (counted, count, first_at, last_at) VALUES (?, 1, ?, ?)",
      counted,
      at,
      at,
    );
  }

  #increment(counted: string, at: number): boolean {
    const updated = this.#sql.exec(
      `UPDATE request_counts SET count = count + 1, first_at = min(first_at, ?), last_at = max(last_at, ?)
       WHERE counted = ?`,
      at,
      at,
      counted,
    );
    return updated.rowsWritten > 0;
  }
}

function withoutKind(key: SummaryKey): SummaryKey {
  const unknown = { cluster: null, refusal: null, verb: null, api_group: null, resource: null, client_address: null };
  return { ...key, ...unknown, reason: OF_SEVERAL_KINDS };
}
