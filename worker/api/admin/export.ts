import { waitingAfter } from "../../../audit/export-queries.ts";
import { EXPORTED_TABLES, type ExportedTable } from "../../../audit/exported-rows.ts";
import type { Bindings } from "../../env.ts";
import { ExportStore } from "../../export/store.ts";
import { json, jsonError } from "../../json.ts";
import { queryDatabase } from "./database.ts";
import type { AdminRequest } from "./request.ts";

/** `GET export`: how far the export to R2 is, what waits for it and since when, and what is wrong with it. */
export async function showExport({ env, config }: AdminRequest): Promise<Response> {
  const { EXPORT } = env;
  if (!EXPORT) return json({ enabled: false });
  const { prefix } = config.export;
  let stored: Stored[];
  try {
    stored = await Promise.all(EXPORTED_TABLES.map((table) => read(EXPORT, prefix, table)));
  } catch (error) {
    console.error(`admin: the export's bucket does not answer: ${String(error)}`);
    return jsonError("export_unavailable", "R2, which has the export, does not answer: try again");
  }
  const asked = await queryDatabase(Promise.all(stored.map((one) => describe(env, one))));
  if (!asked) return jsonError("audit_database_unavailable", "D1, which has the record, does not answer: try again");
  return json({ enabled: true, prefix, tables: asked.answer });
}

interface Stored {
  readonly table: ExportedTable;
  readonly last: number;
  readonly lastObject: string | null;
  readonly error: { readonly at: string | null; readonly message: string } | null;
}

async function read(bucket: R2Bucket, prefix: string, table: ExportedTable): Promise<Stored> {
  const store = new ExportStore(bucket, prefix, table);
  const { cursor: hint, error } = await store.readState();
  const cursor = await store.findCursor(hint);
  if (cursor.ok) return { table, last: cursor.value?.last ?? 0, lastObject: cursor.value?.key ?? null, error };
  const known = error ?? { at: null, message: cursor.error.message };
  return { table, last: hint?.last ?? 0, lastObject: hint?.key ?? null, error: known };
}

async function describe({ AUDIT_DB }: Bindings, { table, last, lastObject, error }: Stored) {
  const { newest, oldestAt } = await waitingAfter(AUDIT_DB, table, last);
  return {
    table,
    exported: last,
    newest,
    waiting: Math.max(0, newest - last),
    oldestWaiting: oldestAt === null ? null : new Date(oldestAt).toISOString(),
    lastObject,
    error,
  };
}
