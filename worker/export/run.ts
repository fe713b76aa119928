/**
 * One run of the export: new rows of the audit log become objects in R2, each row in exactly one object.
 *
 *     find the newest object ─► check that D1 still has its last row ─► read rows ─► put if the key is free ─► …
 *
 * No row is left out: D1 has one writer, so a row becomes visible no later than any row with a larger number,
 * and a run starts right after the last row in R2. No row is exported twice: an object is named after its
 * first row and written only when that name is free, so of two concurrent runs one writes and the other
 * stops. A run may be cut off at any point.
 */
import { eventsFrom, requestsFrom } from "../../audit/export-queries.ts";
import { EXPORTED_TABLES, type ExportedTable } from "../../audit/exported-rows.ts";
import { lastRemovedRow } from "../../audit/seal/queries.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { Batches, type ReadPage } from "./batches.ts";
import { eventToExportRow, requestToExportRow } from "./lines.ts";
import type { Cursor } from "./r2-keys.ts";
import { type ExportState, isSameState } from "./state.ts";
import { ExportStore } from "./store.ts";

/**
 * What one run does at most, so that it ends long before the next one starts. 20 objects of 20 pages each are
 * 400 queries a table, below the 1,000 that D1 answers in one invocation.
 */
export interface RunLimits {
  readonly maxRowsPerObject: number;
  /** Characters before compression. An isolate has 128 MB and holds an object about four times over. */
  readonly maxCharsPerObject: number;
  readonly maxObjectsPerTable: number;
  /** A run starts no further object after this time. */
  readonly budgetMs: number;
}

export const RUN_LIMITS: RunLimits = {
  maxRowsPerObject: 10_000,
  maxCharsPerObject: 8 * 1024 * 1024,
  maxObjectsPerTable: 20,
  budgetMs: 60_000,
};

export interface ExportDependencies {
  readonly database: D1Database;
  readonly bucket: R2Bucket;
  readonly prefix: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly limits?: RunLimits;
}

/**
 * `done`: every row is exported. `more`: the run reached its limits. `overtaken`: another run is exporting.
 */
type Progressed = "done" | "more" | "overtaken";

export interface TableOutcome {
  readonly table: ExportedTable;
  /** Rows that this run exported, also when it failed later. */
  readonly rows: number;
  readonly objects: number;
  readonly result: Progressed | "failed";
  /** For a person. null unless failed. */
  readonly error: string | null;
}

/** Exports each table, even when the other one fails, and logs each outcome. Never rejects. */
export async function runExport(dependencies: ExportDependencies): Promise<readonly TableOutcome[]> {
  const outcomes: TableOutcome[] = [];
  for (const table of EXPORTED_TABLES) {
    const outcome = await exportTable(table, dependencies);
    logOutcome(outcome);
    outcomes.push(outcome);
  }
  return outcomes;
}

/** Kept outside the functions that may fail, so that a failure does not lose it. */
interface Progress {
  cursor: Cursor | null;
  rows: number;
  objects: number;
}

async function exportTable(table: ExportedTable, dependencies: ExportDependencies): Promise<TableOutcome> {
  const { bucket, prefix, now } = dependencies;
  const store = new ExportStore(bucket, prefix, table);
  const progress: Progress = { cursor: null, rows: 0, objects: 0 };
  let before: ExportState | undefined;
  let exported: Result<Progressed, string>;
  try {
    before = await store.readState();
    progress.cursor = before.cursor;
    exported = await exportNewRows(table, dependencies, store, progress);
  } catch (error) {
    // D1 or R2 failed. The next run tries again.
    exported = err(error instanceof Error ? error.message : String(error));
  }
  const error = exported.ok ? null : { at: new Date(now()).toISOString(), message: exported.error };
  // Without the state of before, R2 is away. What is unknown must not be overwritten.
  if (before) await saveState(table, store, before, { cursor: progress.cursor, error });
  const { rows, objects } = progress;
  return { table, rows, objects, result: exported.ok ? exported.value : "failed", error: error?.message ?? null };
}

async function exportNewRows(
  table: ExportedTable,
  { database, now, limits = RUN_LIMITS }: ExportDependencies,
  store: ExportStore,
  progress: Progress,
): Promise<Result<Progressed, string>> {
  const deadline = now() + limits.budgetMs;
  const cursor = await store.findCursor(progress.cursor);
  if (!cursor.ok) return err(cursor.error.message);
  progress.cursor = cursor.value;
  const leftTo = table === "events" ? await withD1Timeout(lastRemovedRow(database)) : 0;
  const bounds = { maxRows: limits.maxRowsPerObject, maxChars: limits.maxCharsPerObject };
  const batches = await Batches.startAfter(cursor.value, pageReader(table, database), bounds, leftTo);
  if (!batches.ok) return err(batches.error.message);
  while (progress.objects < limits.maxObjectsPerTable && now() < deadline) {
    const rows = await batches.value.next((from, to) => {
      if (to > leftTo) logEvent("error", "export_rows_missing", { table, from: Math.max(from, leftTo + 1), to });
    });
    if (!rows) return ok("done");
    const written = await store.put(rows);
    if (!written) return ok("overtaken");
    progress.cursor = written;
    progress.rows += rows.length;
    progress.objects++;
  }
  return ok("more");
}

function pageReader(table: ExportedTable, database: D1Database): ReadPage {
  switch (table) {
    case "events":
      return async (fromRow) => (await withD1Timeout(eventsFrom(database, fromRow))).map(eventToExportRow);
    case "requests":
      return async (fromRow) => (await withD1Timeout(requestsFrom(database, fromRow))).map(requestToExportRow);
  }
}

function withD1Timeout<T>(work: Promise<T>): Promise<T> {
  return withTimeout(work, STORAGE_TIMEOUTS_MS.d1ExportPage);
}

/** Best effort: without the state, the next run lists more objects, and the log has the error. */
async function saveState(
  table: ExportedTable,
  store: ExportStore,
  before: ExportState,
  after: ExportState,
): Promise<void> {
  if (isSameState(before, after)) return;
  try {
    await store.writeState(after);
  } catch (error) {
    logEvent("error", "export_state_not_written", { table, error: describeError(error) });
  }
}

function logOutcome({ table, rows, objects, result, error }: TableOutcome): void {
  if (error !== null) logEvent("error", "export_failed", { table, rows, objects, error });
  else if (rows > 0 || result !== "done") logEvent("log", "export_progressed", { table, rows, objects, result });
}
