import { drizzle } from "drizzle-orm/d1";
import type { ChainedEvent } from "./chain.ts";
import { events } from "./events-table.ts";

/**
 * Writes events to D1, all or none.
 *
 * Safe to repeat: an event that D1 has already stays as it is, so a delivery
 * whose answer was lost can be sent again.
 */
export async function insertEvents(database: D1Database, batch: readonly ChainedEvent[]): Promise<void> {
  const db = drizzle(database);
  const inserts = batch.map(({ session_id, seq, at, type, data, prev_hash, hash }) =>
    db.insert(events).values({ session_id, seq, at, type, data, prev_hash, hash }).onConflictDoNothing(),
  );
  const [first, ...rest] = inserts;
  if (first) await db.batch([first, ...rest]);
}
