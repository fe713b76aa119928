/** Reads rows for the export, in the order of their row numbers. */
import type { ExportedTable, NumberedEvent, NumberedRequest } from "./exported-rows.ts";

/** Rows in one query. The row of a request has at most about 6 KiB. */
export const PAGE_ROWS = 500;
/** An event can have 64 KiB and more, so a page of events also ends after the row that reaches this size. */
const PAGE_DATA_CHARS = 1_000_000;

/** The join finds the start of a session, because a start reaches D1 before the session's other events. */
const EVENTS = `
SELECT e.row_number, e.session_id, e.seq, e.at, e.type, e.data, e.prev_hash, e.hash,
  coalesce(s.user, e.user) AS user, s.data ->> '$.cluster' AS cluster, s.data ->> '$.kind' AS kind,
  s.data ->> '$.namespace' AS namespace, s.data ->> '$.pod' AS pod
FROM (
  SELECT *, sum(length(data)) OVER (ORDER BY row_number ROWS UNBOUNDED PRECEDING) - length(data) AS chars_before
  FROM (
    SELECT row_number, session_id, seq, at, type, data, prev_hash, hash, user
    FROM events WHERE row_number >= ? ORDER BY row_number LIMIT ${PAGE_ROWS}
  )
) AS e
LEFT JOIN events AS s ON s.session_id = e.session_id AND s.seq = 0 AND s.type = 'start'
WHERE e.chars_before < ${PAGE_DATA_CHARS}
ORDER BY e.row_number`;

const REQUESTS = `SELECT * FROM request_rows WHERE row_number >= ? ORDER BY row_number LIMIT ${PAGE_ROWS}`;

/** @returns a page of events from this row number on; empty when there are no more */
export async function eventsFrom(database: D1Database, rowNumber: number): Promise<NumberedEvent[]> {
  return (await database.prepare(EVENTS).bind(rowNumber).all<NumberedEvent>()).results;
}

/** @returns a page of API requests from this row number on; empty when there are no more */
export async function requestsFrom(database: D1Database, rowNumber: number): Promise<NumberedRequest[]> {
  return (await database.prepare(REQUESTS).bind(rowNumber).all<NumberedRequest>()).results;
}

/** How much of a table is still to be exported. */
export interface Waiting {
  /** The newest row number, or 0 for an empty table. */
  readonly newest: number;
  /** Time of the first row that waits, in ms since the epoch; null when none waits. */
  readonly oldestAt: number | null;
}

/** @param rowNumber the last exported row */
export async function waitingAfter(database: D1Database, table: ExportedTable, rowNumber: number): Promise<Waiting> {
  const source = table === "requests" ? "request_rows" : table;
  const sql = `SELECT (SELECT coalesce(max(row_number), 0) FROM ${source}) AS newest,
    (SELECT at FROM ${source} WHERE row_number > ? ORDER BY row_number LIMIT 1) AS oldestAt`;
  return (await database.prepare(sql).bind(rowNumber).first<Waiting>()) ?? { newest: 0, oldestAt: null };
}
