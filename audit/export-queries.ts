/** The record as it is exported: rows in the order of their numbers, from one number on. */
import type { ExportedTable, NumberedEvent, NumberedRequest } from "./exported-rows.ts";

/** Rows that D1 is asked for at once. A request's is at most some 6 KiB. */
export const PAGE_ROWS = 500;
/** An event can have 64 KiB and more: a page ends after the row that reaches this. */
const PAGE_DATA_CHARS = 1_000_000;

/** A start comes to D1 before the other events of its session, so it is there to be joined. */
const EVENTS = `
SELECT e.row_number, e.session_id, e.seq, e.at, e.type, e.data, e.prev_hash, e.hash,
  coalesce(s.user, e.user) AS user, s.data ->> '$.cluster' AS cluster, s.data ->> '$.kind' AS kind,
  s.data ->> '$.namespace' AS namespace, s.data ->> '$.pod' AS pod
FROM (
  SELECT *, sum(length(data)) OVER (ORDER BY row_number ROWS UNBOUNDED PRECEDING) - length(data) AS chars_before
  FROM (
    SELECT row_number, session_id, seq, at, type, data, prev_hash, hash, user FROM events WHERE row_number >= ? ORDER BY row_number LIMIT ${PAGE_ROWS}
  )
) AS e
LEFT JOIN events AS s ON s.session_id = e.session_id AND s.seq = 0 AND s.type = 'start'
WHERE e.chars_before < ${PAGE_DATA_CHARS}
ORDER BY e.row_number`;

const REQUESTS = `SELECT * FROM requests WHERE row_number >= ? ORDER BY row_number LIMIT ${PAGE_ROWS}`;

/** @returns a page of events from this number on, at least one where there is one: empty means that there are no more */
export async function eventsFrom(database: D1Database, rowNumber: number): Promise<NumberedEvent[]> {
  return (await database.prepare(EVENTS).bind(rowNumber).all<NumberedEvent>()).results;
}

/** The same for plain requests. */
export async function requestsFrom(database: D1Database, rowNumber: number): Promise<NumberedRequest[]> {
  return (await database.prepare(REQUESTS).bind(rowNumber).all<NumberedRequest>()).results;
}

/** What there is beyond a row that has this number. */
export interface Waiting {
  /** The newest row's number; 0 where there is none. */
  readonly newest: number;
  /** When what the first row beyond speaks of happened, ms since the epoch; null where there is none. */
  readonly oldestAt: number | null;
}

export async function waitingAfter(database: D1Database, table: ExportedTable, rowNumber: number): Promise<Waiting> {
  const sql = `SELECT (SELECT coalesce(max(row_number), 0) FROM ${table}) AS newest,
    (SELECT at FROM ${table} WHERE row_number > ? ORDER BY row_number LIMIT 1) AS oldestAt`;
  return (await database.prepare(sql).bind(rowNumber).first<Waiting>()) ?? { newest: 0, oldestAt: null };
}
