/** Turns a row into one line of NDJSON. docs/EXPORT.md describes the schema. */
import type { NumberedEvent, NumberedRequest } from "../../audit/exported-rows.ts";

/**
 * The schema of the lines and of the objects' metadata. A new field keeps the
 * number, any other change needs a new one.
 */
export const EXPORT_SCHEMA = 2;

/** A row that is ready for the export. */
export interface ExportRow {
  readonly rowNumber: number;
  /** An event's hash, a request's id. Another fingerprint under the same number is another row. */
  readonly fingerprint: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Without the line feed. */
  readonly line: string;
}

/**
 * The line of an event. It has `data` byte for byte as it was hashed, so that a reader can verify the chain.
 */
export function eventToExportRow(row: NumberedEvent): ExportRow {
  const { row_number, session_id, seq, at, type, data, prev_hash, hash, user, cluster, kind, namespace, pod } = row;
  const head = JSON.stringify({
    ...{ schema: EXPORT_SCHEMA, table: "events", row_number, time: formatTime(at), at },
    ...{ session_id, seq, type, user, cluster, kind, namespace, pod, prev_hash, hash },
  });
  // `data` is copied unparsed. Text that somebody forged in D1 must not add a line or a field.
  const tail = isJsonObjectOnOneLine(data) ? `"data":${data}` : `"data":null,"data_text":${JSON.stringify(data)}`;
  return { rowNumber: row_number, fingerprint: hash, at, line: `${head.slice(0, -1)},${tail}}` };
}

/** The line of an API request: the columns of its row. */
export function requestToExportRow({ row_number, id, at, ...columns }: NumberedRequest): ExportRow {
  const line = JSON.stringify({
    ...{ schema: EXPORT_SCHEMA, table: "requests", row_number, time: formatTime(at), at, id },
    ...columns,
  });
  return { rowNumber: row_number, fingerprint: id, at, line };
}

function isJsonObjectOnOneLine(text: string): boolean {
  if (/[\r\n]/.test(text)) return false;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** RFC 3339 in UTC, or null for a number that is out of range, as in a forged row. */
function formatTime(at: number): string | null {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
