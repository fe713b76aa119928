import type { ChainedEvent } from "./chain.ts";

/**
 * The number is named, because SQLite itself would begin with 1 again once every row has left the table:
 * numbers go on after those that are sealed. See seal/tables.ts.
 */
const INSERT = `
INSERT INTO events (row_number, session_id, seq, at, type, data, prev_hash, hash)
VALUES (max((SELECT coalesce(max(row_number), 0) FROM events), (SELECT coalesce(max(last_row), 0) FROM seals)) + 1,
  ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING`;

/** A statement for a batch. An event that D1 has already stays as it is. */
export function insertEvent(database: D1Database, event: ChainedEvent): D1PreparedStatement {
  const { session_id, seq, at, type, data, prev_hash, hash } = event;
  return database.prepare(INSERT).bind(session_id, seq, at, type, data, prev_hash, hash);
}

/**
 * Writes events to D1, all or none.
 *
 * Safe to repeat: an event that D1 has already stays as it is, so a delivery
 * whose answer was lost can be sent again.
 */
export async function insertEvents(database: D1Database, batch: readonly ChainedEvent[]): Promise<void> {
  if (batch.length > 0) await database.batch(batch.map((event) => insertEvent(database, event)));
}
