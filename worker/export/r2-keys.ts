/** What the exported objects are called, and what their metadata says. R2's list of them is the export's cursor. */
import type { ExportedTable } from "../../audit/exported-rows.ts";
import { EXPORT_SCHEMA, type ExportRow } from "./lines.ts";

/** As many as the largest number of a row can have, so that keys sort as the numbers do. */
const KEY_DIGITS = 16;

/** How far a table is exported. */
export interface Cursor {
  /** The newest object. */
  readonly key: string;
  /** Number of the newest exported row. */
  readonly last: number;
  /** That row's mark: see ExportRow. */
  readonly mark: string;
}

/** What lies in the way of an export until somebody looks at it. The words are for that person. */
export class ExportError extends Error {
  override readonly name = "ExportFault";
}

/** Where a table's objects are. */
export function exportFolder(prefix: string, table: ExportedTable): string {
  return `${prefix}${table}/`;
}

/** @param first number of the object's first row */
export function exportKey(prefix: string, table: ExportedTable, first: number): string {
  return `${exportFolder(prefix, table)}${String(first).padStart(KEY_DIGITS, "0")}.ndjson.gz`;
}

/** @returns the number of the first row of the object with this key, or undefined where the key is none of this table's */
export function firstRowOfKey(prefix: string, table: ExportedTable, key: string): number | undefined {
  const folder = exportFolder(prefix, table);
  const match = key.startsWith(folder) ? /^(\d{16})\.ndjson\.gz$/.exec(key.slice(folder.length)) : null;
  return match?.[1] === undefined ? undefined : Number(match[1]);
}

/** For readers, and for the next run. */
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
    mark: last.mark,
  };
}

/**
 * Reads how far an object goes.
 *
 * @param first its first row's number, from its key
 * @throws ExportFault where its metadata is not an export's: it was copied without, or put there by somebody else
 */
export function readCursor(key: string, first: number, metadata: Readonly<Record<string, string>> = {}): Cursor {
  const { last, mark } = metadata;
  if (last !== undefined && /^\d{1,16}$/.test(last) && Number(last) >= first && mark) {
    return { key, last: Number(last), mark };
  }
  throw new ExportError(
    `the newest object, ${key}, has no metadata that says how far it goes: put it back as the export wrote it, or remove it`,
  );
}
