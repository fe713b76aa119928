/** Finds the events that a session's first event is chained to. */
import type { ChainedEvent } from "./chain.ts";

/** A session's event with its number in D1. */
export type NumberedChainedEvent = ChainedEvent & { readonly row_number: number };

/**
 * How far from a session's first event the others are looked for, in rows. No index has hashes: each would cost
 * a row for every event.
 */
export const NEIGHBOUR_ROWS = 20_000;

const COLUMNS = "row_number, session_id, seq, at, type, data, prev_hash, hash";

/** The event whose hash the first one has as its `prev_hash`: it was written, and delivered, before it. */
const PREVIOUS = `SELECT ${COLUMNS} FROM events
WHERE row_number < ?1 AND row_number >= ?1 - ${NEIGHBOUR_ROWS} AND hash = ?2 ORDER BY row_number DESC LIMIT 1`;

/** The next first event of the same object. */
const NEXT = `SELECT ${COLUMNS} FROM events
WHERE row_number > ?1 AND row_number <= ?1 + ${NEIGHBOUR_ROWS} AND seq = 0 AND prev_hash = ?2
ORDER BY row_number LIMIT 1`;

export interface Neighbours {
  readonly previous: NumberedChainedEvent | null;
  readonly next: NumberedChainedEvent | null;
}

/**
 * Finds what comes before and after a session in the chain of its user's object.
 *
 * @param first the session's first event
 * @returns null where there is none within `NEIGHBOUR_ROWS`
 */
export async function findNeighbours(database: D1Database, first: NumberedChainedEvent): Promise<Neighbours> {
  const { row_number, prev_hash, hash } = first;
  const [previous, next] = await database.batch<NumberedChainedEvent>([
    database.prepare(PREVIOUS).bind(row_number, prev_hash),
    database.prepare(NEXT).bind(row_number, hash),
  ]);
  return { previous: previous?.results[0] ?? null, next: next?.results[0] ?? null };
}
