import type * as z from "zod";
import { waitingAfter } from "../../../audit/export-queries.ts";
import { EXPORTED_TABLES, type ExportedTable } from "../../../audit/exported-rows.ts";
import { describeError, logEvent } from "../../../common/log.ts";
import { err, ok } from "../../../common/result.ts";
import { denial } from "../../denials.ts";
import { ExportStore } from "../../export/store.ts";
import { queryDatabase } from "../database.ts";
import type { exportStatus } from "../schemas/export.ts";
import type { Handler } from "./handler.ts";

type TableJson = Extract<z.output<typeof exportStatus>, { enabled: true }>["tables"][number];

export const getExport: Handler<"getExport"> = async (_, { env, config }) => {
  const { EXPORT, AUDIT_DB } = env;
  if (!EXPORT) return ok({ enabled: false });
  const { prefix } = config.export;
  let exported: Exported[];
  try {
    exported = await Promise.all(EXPORTED_TABLES.map((table) => readExported(EXPORT, prefix, table)));
  } catch (error) {
    logEvent("error", "export_bucket_unavailable", { error: describeError(error) });
    return err(denial("export_unavailable", "R2, which has the export, does not answer: try again"));
  }
  const tables = await queryDatabase(Promise.all(exported.map((one) => describeTable(AUDIT_DB, one))));
  return tables.ok ? ok({ enabled: true, prefix, tables: tables.value }) : tables;
};

/** What R2 says of one table. */
interface Exported {
  readonly table: ExportedTable;
  readonly last: number;
  readonly lastObject: string | null;
  readonly error: TableJson["error"];
}

async function readExported(bucket: R2Bucket, prefix: string, table: ExportedTable): Promise<Exported> {
  const store = new ExportStore(bucket, prefix, table);
  const { cursor: hint, error } = await store.readState();
  const cursor = await store.findCursor(hint);
  if (cursor.ok) return { table, last: cursor.value?.last ?? 0, lastObject: cursor.value?.key ?? null, error };
  const known = error ?? { at: null, message: cursor.error.message };
  return { table, last: hint?.last ?? 0, lastObject: hint?.key ?? null, error: known };
}

async function describeTable(database: D1Database, exported: Exported): Promise<TableJson> {
  const { table, last, lastObject, error } = exported;
  const { newest, oldestAt } = await waitingAfter(database, table, last);
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
