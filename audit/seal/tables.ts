/**
 * The tables of seals in D1. All three are append-only, and their triggers accept a row only if it agrees with
 * the rows that it speaks of. Keys name objects in the bucket of recordings: see keys.ts.
 */
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { CLOSED_BY } from "./next-step.ts";

/** One object of a range, written and read back. Parts follow each other without a gap, over all ranges. */
export const sealParts = sqliteTable("seal_parts", {
  first_row: integer().primaryKey(),
  last_row: integer().notNull(),
  rows: integer().notNull(),
  /** Bytes of its lines. */
  text_bytes: integer().notNull(),
  /** Bytes of the object, compressed. */
  bytes: integer().notNull(),
  /** The object's key in the bucket of recordings. */
  key: text().notNull(),
  /** SHA-256 of the object as it was read back. */
  sha256: text().notNull(),
  first_hash: text().notNull(),
  last_hash: text().notNull(),
});

/** One sealed range. */
export const seals = sqliteTable("seals", {
  first_row: integer().primaryKey(),
  last_row: integer().notNull(),
  rows: integer().notNull(),
  /** UTC, `2026-11`. */
  month: text().notNull(),
  /** What ended the range: the end of its month, or 1 GB. */
  closed_by: text({ enum: CLOSED_BY }).notNull(),
  parts: integer().notNull(),
  text_bytes: integer().notNull(),
  bytes: integer().notNull(),
  /** The manifest's key, and SHA-256 of its text. */
  key: text().notNull(),
  sha256: text().notNull(),
  /** The hash of the manifest before it; "" for the first. */
  previous_sha256: text().notNull(),
  /** Milliseconds since the epoch. */
  sealed_at: integer().notNull(),
  /** The hash of this seal's event in the audit log. */
  event_hash: text().notNull(),
});

export type Seal = Readonly<typeof seals.$inferSelect>;

/** One range whose rows leave D1. From this row on the trigger lets them pass. */
export const sealRemovals = sqliteTable("seal_removals", {
  /** That of the seal. */
  first_row: integer().primaryKey(),
  last_row: integer().notNull(),
  /** Milliseconds since the epoch. */
  removed_at: integer().notNull(),
});
