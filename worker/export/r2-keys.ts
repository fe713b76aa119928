/**
 * Names and metadata of the exported objects. Together they are the
 * cursor: R2's list says how far the export is.
 */
import type { ExportedTable } from "../../audit/exported-rows.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { ExportFailure } from "./failure.ts";
import { EXPORT_SCHEMA, type ExportRow } from "./lines.ts";

/** The digits of the largest row number, so that keys sort as the numbers do. */
const KEY_DIGITS = 16;

/** How far a table is exported. */
export interface Cursor {
  /** Key of the newest object. */
  readonly key: string;
  /** Number of the last exported row. */
  readonly last: number;
  /** That row's fingerprint. */
  readonly fingerprint: string;
}

/** The prefix of a table's objects. */
export function exportFolder(prefix: string, table: ExportedTable): string {
  return `${prefix}${table}/`;
}

/** @param first number of the object's first row */
export function exportKey(prefix: string, table: ExportedTable, first: number): string {
  return `${exportFolder(prefix, table)}${String(first).padStart(KEY_DIGITS, "0")}.ndjson.gz`;
}

/**
 * @returns the number of the first row in the object, or undefined when the key is not one of this table's
 * objects
 */
export function firstRowOfKey(prefix: string, table: ExportedTable, key: string): number | undefined {
  const folder = exportFolder(prefix, table);
  const match = key.startsWith(folder) ? /^(\d{16})\.ndjson\.gz$/.exec(key.slice(folder.length)) : null;
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** The metadata of an object, for its readers and for the next run. */
export function exportMetadata(
  table: ExportedTable,
  rows: readonly [ExportRow, ...ExportRow[]],
): Record<string, string> {
  const [first] = rows;
  const last = rows.at(-1) ?? first;
  return {
    schema: String(EXPORT_SCHEMA),
    table,
    first: String(first.rowNumber),
    last: String(last.rowNumber),
    rows: String(rows.length),
    fingerprint: last.fingerprint,
  };
}

/**
 * Reads from an object's metadata how far it goes.
 *
 * @param first the object's first row, from its key
 * @returns the failure `metadata_missing` when the metadata is not the export's:
 *   somebody copied or replaced the object
 */
export function readCursor(
  key: string,
  first: number,
  metadata: Readonly<Record<string, string>> = {},
): Result<Cursor, ExportFailure> {
  const { last, fingerprint } = metadata;
  if (last !== undefined && /^\d{1,16}$/.test(last) && Number(last) >= first && fingerprint) {
    return ok({ key, last: Number(last), fingerprint });
  }
  return err({
    code: "metadata_missing",
    message:
      `the newest object, ${key}, has no valid metadata: somebody copied or replaced it; ` +
      "restore it with its metadata, or remove it",
  });
}
