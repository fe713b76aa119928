/** Reads and writes the tables of seals in D1. See tables.ts. */
import type { ChainedEvent } from "../chain.ts";
import { insertEvent } from "../insert-events.ts";
import { SEALED_COLUMNS, type SealedRow } from "./lines.ts";
import type { ManifestObject, ManifestPart } from "./manifest.ts";
import type { OpenRange } from "./next-step.ts";
import type { Seal } from "./tables.ts";

/**
 * Rows in one query. A page also ends after the row that reaches PAGE_CHARS: an event can have 64 KiB and
 * more.
 */
const PAGE_ROWS = 2_000;
const PAGE_CHARS = 4_000_000;

/** What a run begins with. */
export interface SealProgress {
  readonly newestSeal: Seal | null;
  readonly range: OpenRange;
  /** Bytes of the database, as D1 says; null where the runtime does not say it. */
  readonly databaseBytes: number | null;
}

type ProgressRow = Omit<OpenRange, "previous" | "firstRow">;

const PROGRESS = `
WITH range AS (SELECT coalesce(max(last_row), 0) + 1 AS first_row FROM seals),
  written AS (SELECT count(*) AS parts, coalesce(sum(text_bytes), 0) AS textBytes,
    coalesce(max(last_row), (SELECT first_row - 1 FROM range)) AS writtenTo
    FROM seal_parts WHERE first_row >= (SELECT first_row FROM range))
SELECT written.*,
  (SELECT at FROM events WHERE row_number >= (SELECT first_row FROM range) ORDER BY row_number LIMIT 1) AS firstAt,
  (SELECT row_number FROM events WHERE row_number > written.writtenTo ORDER BY row_number LIMIT 1) AS nextRow,
  (SELECT coalesce(max(row_number), 0) FROM events) AS newestRow
FROM written`;

export async function readSealProgress(database: D1Database): Promise<SealProgress> {
  // In one transaction: another run may seal meanwhile.
  const [seals, progress] = await database.batch([
    database.prepare("SELECT * FROM seals ORDER BY first_row DESC LIMIT 1"),
    database.prepare(PROGRESS),
  ]);
  const [newest = null] = (seals?.results ?? []) as Seal[];
  const [row] = (progress?.results ?? []) as ProgressRow[];
  if (!row) throw new Error("D1 returned no row");
  return {
    newestSeal: newest,
    range: {
      previous: newest && { month: newest.month, closedBy: newest.closed_by },
      firstRow: (newest?.last_row ?? 0) + 1,
      ...row,
    },
    databaseBytes: progress?.meta.size_after ?? null,
  };
}

/** Finds the first row with a number from `from` to `to` and a time from `since` to `now`. */
export async function findRowSince(
  database: D1Database,
  { from, to, since, now }: { from: number; to: number; since: number; now: number },
): Promise<number | null> {
  return await database
    .prepare(
      `SELECT row_number FROM events WHERE row_number BETWEEN ? AND ? AND at BETWEEN ? AND ?
       ORDER BY row_number LIMIT 1`,
    )
    .bind(from, to, since, now)
    .first<number>("row_number");
}

const PAGE = `
SELECT ${SEALED_COLUMNS.join(", ")} FROM (
  SELECT *, sum(length(data)) OVER (ORDER BY row_number ROWS UNBOUNDED PRECEDING) - length(data) AS chars_before
  FROM (SELECT ${SEALED_COLUMNS.join(", ")} FROM events WHERE row_number BETWEEN ? AND ? ORDER BY row_number LIMIT ${PAGE_ROWS})
) WHERE chars_before < ${PAGE_CHARS} ORDER BY row_number`;

/** @returns the first page of the rows with these numbers; empty when there are none */
export async function rowsBetween(database: D1Database, first: number, last: number): Promise<SealedRow[]> {
  return (await database.prepare(PAGE).bind(first, last).all<SealedRow>()).results;
}

/** Notes a part that was read back. Safe to repeat; of two concurrent runs the first counts. */
export async function insertPart(database: D1Database, part: ManifestPart): Promise<void> {
  await database
    .prepare(
      `INSERT INTO seal_parts (first_row, last_row, rows, text_bytes, bytes, key, sha256, first_hash, last_hash)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      ...[part.firstRow, part.lastRow, part.rows, part.textBytes, part.bytes],
      ...[part.key, part.sha256, part.firstHash, part.lastHash],
    )
    .run();
}

/** The parts with these rows, in order. */
export async function partsBetween(database: D1Database, first: number, last: number): Promise<ManifestPart[]> {
  const sql = `SELECT key, first_row AS firstRow, last_row AS lastRow, rows, bytes, sha256, text_bytes AS textBytes,
    first_hash AS firstHash, last_hash AS lastHash
    FROM seal_parts WHERE first_row BETWEEN ? AND ? ORDER BY first_row`;
  return (await database.prepare(sql).bind(first, last).all<ManifestPart>()).results;
}

/** What an event says about whose object wrote it. Text that somebody forged is nobody's. */
const OF_OWNER = (field: string) => `coalesce(CASE WHEN json_valid(data) THEN data ->> '$.${field}' END, '')`;

/**
 * What each of the users' objects has in a part: see ManifestObject. For a part and not for a range, because
 * D1 answers nobody else meanwhile.
 */
export async function objectsBetween(database: D1Database, first: number, last: number): Promise<ManifestObject[]> {
  const sql = `
    SELECT one.user, one.locationHint, one.events, f.hash AS firstHash, l.hash AS lastHash
    FROM (SELECT ${OF_OWNER("user")} AS user, ${OF_OWNER("location_hint")} AS locationHint,
            count(*) AS events, min(row_number) AS first, max(row_number) AS last
          FROM events WHERE row_number BETWEEN ? AND ? AND seq = 0 AND type <> 'seal' GROUP BY 1, 2) AS one
    JOIN events AS f ON f.row_number = one.first JOIN events AS l ON l.row_number = one.last ORDER BY one.first`;
  return (await database.prepare(sql).bind(first, last).all<ManifestObject>()).results;
}

/** Writes a seal and its event, both or none. Safe to repeat; of two concurrent runs the first counts. */
export async function insertSeal(database: D1Database, seal: Seal, event: ChainedEvent): Promise<void> {
  const columns = Object.keys(seal);
  const values = columns.map(() => "?").join(", ");
  await database.batch([
    insertEvent(database, event),
    database.prepare(`INSERT INTO seals (${columns.join(", ")}) VALUES (${values})`).bind(...Object.values(seal)),
  ]);
}

/** The oldest seal whose rows have not begun to leave. */
export async function oldestKeptSeal(database: D1Database): Promise<Seal | null> {
  return await database
    .prepare(
      `SELECT * FROM seals WHERE first_row > (SELECT coalesce(max(first_row), 0) FROM seal_removals)
       ORDER BY first_row LIMIT 1`,
    )
    .first<Seal>();
}

/** @returns the number of the last row of the ranges that may have left, or 0 */
export async function lastRemovedRow(database: D1Database): Promise<number> {
  const sql = "SELECT coalesce(max(last_row), 0) AS last FROM seal_removals";
  return (await database.prepare(sql).first<number>("last")) ?? 0;
}

/** Writes that a range leaves, and its event, both or none. Safe to repeat. */
export async function insertRemoval(
  database: D1Database,
  { first_row, last_row }: Seal,
  removedAt: number,
  event: ChainedEvent,
): Promise<void> {
  await database.batch([
    insertEvent(database, event),
    database
      .prepare("INSERT INTO seal_removals (first_row, last_row, removed_at) VALUES (?, ?, ?)")
      .bind(first_row, last_row, removedAt),
  ]);
}

/**
 * Sessions leave as a whole: those that have ended, and have no row that stays. A session without an end
 * stays, for somebody has to find out why.
 */
const MAY_LEAVE = `row_number <= ?1
  AND NOT EXISTS (SELECT 1 FROM events AS later WHERE later.session_id = events.session_id AND later.row_number > ?1)
  AND (NOT EXISTS (SELECT 1 FROM events AS first WHERE first.session_id = events.session_id AND first.type = 'start')
    OR EXISTS (SELECT 1 FROM events AS last WHERE last.session_id = events.session_id AND last.type = 'end'))`;

/**
 * Deletes some of the rows that may leave, the oldest first.
 *
 * @param lastRow of the ranges that leave
 * @returns how many rows were deleted, at most `limit`
 */
export async function deleteSealedRows(database: D1Database, lastRow: number, limit: number): Promise<number> {
  const sql = `DELETE FROM events WHERE row_number IN (
    SELECT row_number FROM events WHERE ${MAY_LEAVE} ORDER BY row_number LIMIT ?2
  )`;
  return (await database.prepare(sql).bind(lastRow, limit).run()).meta.changes;
}
