import type { RequestSummary } from "../../audit/request-events.ts";

/** What counted requests have in common. */
export type SummaryKey = Omit<RequestSummary, "count" | "first_at" | "last_at">;

/** Kinds that are counted apart. What fits none of them is counted together. */
const MAX_KINDS = 20;

const OF_SEVERAL_KINDS = "of several kinds: more of them than get a row each";

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
    const kinds = this.#sql.exec<{ kinds: number }>("SELECT count(*) AS kinds FROM request_counts").one().kinds;
    const counted = kinds < MAX_KINDS ? own : JSON.stringify(withoutKind(key));
    if (counted !== own && this.#increment(counted, at)) return false;
    this.#sql.exec(
      "INSERT INTO request_counts (counted, count, first_at, last_at) VALUES (?, 1, ?, ?)",
      counted,
      at,
      at,
    );
    return true;
  }

  get isEmpty(): boolean {
    return this.#sql.exec("SELECT 1 FROM request_counts LIMIT 1").toArray().length === 0;
  }

  /** Takes out what has been counted since before `at`, ms since the epoch. */
  takeOlderThan(at: number): RequestSummary[] {
    return this.#sql
      .exec<CountedRow>(
        "DELETE FROM request_counts WHERE first_at <= ? RETURNING counted, count, first_at, last_at",
        at,
      )
      .toArray()
      .map(({ counted, ...counts }) => ({ ...(JSON.parse(counted) as SummaryKey), ...counts }));
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
