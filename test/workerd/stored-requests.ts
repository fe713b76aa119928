import { getTableColumns } from "drizzle-orm";
import type { StoredRequestRow } from "../../audit/rows.ts";
import { requestRows } from "../../audit/schema.ts";

const COLUMNS = Object.keys(getTableColumns(requestRows)).filter((name) => name !== "row_number");

/**
 * One statement with one bound value for any number of rows: D1 binds at most 100, and a row has two dozen.
 */
const INSERT = `INSERT OR IGNORE INTO request_rows (${COLUMNS.join(", ")})
SELECT ${COLUMNS.map((name) => `value ->> '$.${name}'`).join(", ")} FROM json_each(?)`;

/** Writes rows to D1, all or none. Safe to repeat: a row that D1 has already stays as it is. */
export async function insertRequests(database: D1Database, rows: readonly StoredRequestRow[]): Promise<void> {
  await database.prepare(INSERT).bind(JSON.stringify(rows)).run();
}
