/** One line of NDJSON a row: the schema that docs/EXPORT.md describes. */
import type { NumberedEvent, NumberedRequest } from "../../audit/exported-rows.ts";

/** Of the lines and of the objects' metadata. Fields are added under the same number; any other change is a new one. */
export const EXPORT_SCHEMA = 2;

/** A row that is ready to be exported. */
export interface ExportRow {
  readonly rowNumber: number;
  /** Tells whether another row stands in its place: an event's hash, a request's id. */
  readonly mark: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Without the line feed. */
  readonly line: string;
}

/** An event's line. `data` is there as it was hashed, byte for byte, so that a reader can compute the chain anew. */
export function eventToExportRow(row: NumberedEvent): ExportRow {
  const { row_number, session_id, seq, at, type, data, prev_hash, hash, user, cluster, kind, namespace, pod } = row;
  const head = JSON.stringify({
    ...{ schema: EXPORT_SCHEMA, table: "events", row_number, time: time(at), at },
    ...{ session_id, seq, type, user, cluster, kind, namespace, pod, prev_hash, hash },
  });
  // What somebody else wrote into the table must not become a line, or a field, of its own.
  const tail = isOneLineObject(data) ? `"data":${data}` : `"data":null,"data_text":${JSON.stringify(data)}`;
  return { rowNumber: row_number, mark: hash, at, line: `${head.slice(0, -1)},${tail}}` };
}

/** A plain request's line: the columns of its row. */
export function requestToExportRow({ row_number, id, at, ...columns }: NumberedRequest): ExportRow {
  const line = JSON.stringify({
    schema: EXPORT_SCHEMA,
    table: "requests",
    row_number,
    time: time(at),
    at,
    id,
    ...columns,
  });
  return { rowNumber: row_number, mark: id, at, line };
}

function isOneLineObject(text: string): boolean {
  if (/[\r\n]/.test(text)) return false;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** RFC 3339 in UTC; null for a number that is no time, which only a forged row has. */
function time(at: number): string | null {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
