/**
 * One run of the export: new rows of the record become objects in R2, once each.
 *
 *     where am I (R2's newest object) ─► is D1 still the one I read from ─► rows ─► put, if the key is free ─► …
 *
 * Nothing is lost: D1 has one writer, so a row's number is visible no later than any larger one, and a run begins right after
 * the newest row that is in R2. Nothing is there twice: an object is named by its first row and put only where there is
 * none of that name, so of two runs at once one puts and the other one stops. A run may be cut off anywhere.
 */
import { eventsFrom, requestsFrom } from "../../audit/export-queries.ts";
import { EXPORTED_TABLES, type ExportedTable } from "../../audit/exported-rows.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { Batches, type ReadPage } from "./batches.ts";
import { eventToExportRow, requestToExportRow } from "./lines.ts";
import type { Cursor } from "./r2-keys.ts";
import { type ExportState, isSameState } from "./state.ts";
import { ExportStore } from "./store.ts";

const D1_TIMEOUT_MS = 10_000;

/**
 * What one run does at most, so that it ends long before the next one begins; that one goes on. 20 objects of 20 pages each
 * are 400 queries a table, below the 1,000 that D1 answers one invocation.
 */
export interface RunLimits {
  readonly rowsPerObject: number;
  /** Characters before compression: an isolate has 128 MB, and an object is in it some four times over. */
  readonly charsPerObject: number;
  readonly objectsPerTable: number;
  /** No further object is begun after so long. */
  readonly budgetMs: number;
}

export const RUN_LIMITS: RunLimits = {
  rowsPerObject: 10_000,
  charsPerObject: 8 * 1024 * 1024,
  objectsPerTable: 20,
  budgetMs: 60_000,
};

export interface ExportDependencies {
  readonly database: D1Database;
  readonly bucket: R2Bucket;
  readonly prefix: string;
  readonly now: () => number;
  readonly limits?: RunLimits;
}

export interface TableOutcome {
  readonly table: ExportedTable;
  readonly rows: number;
  readonly objects: number;
  /**
   * `done`: all that was there is exported. `more`: the run was at its limits. `overtaken`: another run was at it.
   * `failed`: see `error`; what `rows` counts is exported all the same.
   */
  readonly result: "done" | "more" | "overtaken" | "failed";
  readonly error: string | null;
}

/** Runs for each table, whatever becomes of the other; each outcome is logged. Never rejects. */
export async function runExport(means: ExportDependencies): Promise<readonly TableOutcome[]> {
  const outcomes: TableOutcome[] = [];
  for (const table of EXPORTED_TABLES) {
    const outcome = await exportTable(table, means);
    logOutcome(outcome);
    outcomes.push(outcome);
  }
  return outcomes;
}

interface Progress {
  cursor: Cursor | null;
  rows: number;
  objects: number;
}

async function exportTable(table: ExportedTable, means: ExportDependencies): Promise<TableOutcome> {
  const store = new ExportStore(means.bucket, means.prefix, table);
  const progress: Progress = { cursor: null, rows: 0, objects: 0 };
  let before: ExportState | undefined;
  let result: TableOutcome["result"] = "failed";
  let error: string | null = null;
  try {
    before = await store.readState();
    progress.cursor = before.cursor;
    result = await exportNewRows(table, means, store, progress);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
  }
  const at = new Date(means.now()).toISOString();
  await saveState(store, before, { cursor: progress.cursor, error: error === null ? null : { at, message: error } });
  return { table, rows: progress.rows, objects: progress.objects, result, error };
}

async function exportNewRows(
  table: ExportedTable,
  { database, now, limits = RUN_LIMITS }: ExportDependencies,
  store: ExportStore,
  progress: Progress,
): Promise<"done" | "more" | "overtaken"> {
  const end = now() + limits.budgetMs;
  progress.cursor = await store.findCursor(progress.cursor);
  const batchLimits = { rows: limits.rowsPerObject, chars: limits.charsPerObject };
  const batches = await Batches.after(progress.cursor, pagesOf(table, database), batchLimits);
  while (progress.objects < limits.objectsPerTable && now() < end) {
    const rows = await batches.next((from, to) =>
      console.error(`export: rows ${from} to ${to} of ${table} are missing: somebody has removed them from the record`),
    );
    if (!rows) return "done";
    const cursor = await store.put(rows);
    if (!cursor) return "overtaken";
    progress.cursor = cursor;
    progress.rows += rows.length;
    progress.objects++;
  }
  return "more";
}

function pagesOf(table: ExportedTable, database: D1Database): ReadPage {
  switch (table) {
    case "events":
      return async (rowNumber) =>
        (await withTimeout(eventsFrom(database, rowNumber), D1_TIMEOUT_MS)).map(eventToExportRow);
    case "requests":
      return async (rowNumber) =>
        (await withTimeout(requestsFrom(database, rowNumber), D1_TIMEOUT_MS)).map(requestToExportRow);
  }
}

/** Best effort: without it the next run lists more, and the error is in the log all the same. */
async function saveState(store: ExportStore, before: ExportState | undefined, after: ExportState): Promise<void> {
  // R2 did not even say what was there: what is not known must not be overwritten.
  if (!before || isSameState(before, after)) return;
  try {
    await store.writeState(after);
  } catch (error) {
    console.error(`export: its state was not written: ${String(error)}`);
  }
}

function logOutcome({ table, rows, objects, result, error }: TableOutcome): void {
  const done = `${rows} rows of ${table} in ${objects} objects`;
  if (error !== null) console.error(`export: failed after ${done}: ${error}`);
  else if (rows > 0 || result !== "done") console.log(`export: ${done}, ${WORDS[result]}`);
}

const WORDS: Readonly<Record<TableOutcome["result"], string>> = {
  done: "nothing waits",
  more: "the next run goes on",
  overtaken: "another run goes on",
  failed: "",
};
