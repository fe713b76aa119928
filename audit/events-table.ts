/** The append-only table `events` of D1. By itself, for users' objects write to no other. See schema.ts. */
import { sql } from "drizzle-orm";
import { check, index, integer, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { EVENT_TYPES } from "./events.ts";

export const events = sqliteTable(
  "events",
  {
    /**
     * 1, 2, 3 … without a gap, in the order in which D1 took the rows. The export continues by it. Declared,
     * because a VACUUM or a dump does not preserve an undeclared rowid.
     */
    row_number: integer().primaryKey(),
    session_id: text().notNull(),
    seq: integer().notNull(),
    at: integer().notNull(),
    type: text({ enum: EVENT_TYPES }).notNull(),
    /** JSON, byte for byte as it was hashed. */
    data: text().notNull(),
    /** See chain.ts. */
    prev_hash: text().notNull(),
    hash: text().notNull(),
    /** Computed from `data`, so that a query for one user has an index. */
    user: text().generatedAlwaysAs(sql`data ->> '$.user'`, { mode: "virtual" }),
  },
  (table) => [
    uniqueIndex("events_of_session").on(table.session_id, table.seq),
    // D1 bills another row for each index that a write touches. Partial indexes keep that to starts and ends.
    index("events_starts_by_time").on(table.at, table.session_id).where(sql`type = 'start'`),
    index("events_starts_by_user").on(table.user, table.at).where(sql`type = 'start'`),
    // By time, requests are found through `events_of_session`: their ids begin with the time.
    index("events_requests_by_user")
      .on(table.user, table.session_id)
      .where(sql`type IN ('request', 'request_summary')`),
    index("events_access_by_time").on(table.at).where(sql`type IN ('access_decision', 'access_end')`),
    uniqueIndex("events_one_end").on(table.session_id).where(sql`type = 'end'`),
    // In a trigger, -1 means that a statement names no row_number. No row may have that number.
    check("events_row_number_is_positive", sql`row_number > 0`),
  ],
);
