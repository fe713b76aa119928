/** The export's progress, as `GET /-/admin/export` answers. */
import * as z from "zod";
import { EXPORTED_TABLES } from "../../../audit/exported-rows.ts";
import { time } from "./shared.ts";

const exportedTable = z
  .strictObject({
    table: z.enum(EXPORTED_TABLES).describe("The table of D1."),
    exported: z.int().describe("The number of the newest exported row."),
    newest: z.int().describe("The number of the newest row."),
    waiting: z.int().describe("How many rows wait."),
    oldestWaiting: time.nullable().describe("When the oldest waiting row happened."),
    lastObject: z.string().nullable().describe("The key of the newest object in the bucket."),
    error: z
      .strictObject({
        at: time.nullable().describe("When it happened."),
        message: z.string().describe("What happened."),
      })
      .nullable()
      .describe("What stopped the last run. Null: nothing did."),
  })
  .meta({ id: "ExportedTable", description: "How far the export of one table is." });

export const exportStatus = z
  .discriminatedUnion("enabled", [
    z.strictObject({ enabled: z.literal(false).describe("Whether a bucket is bound as `EXPORT`.") }),
    z.strictObject({
      enabled: z.literal(true).describe("Whether a bucket is bound as `EXPORT`."),
      prefix: z.string().describe("What the keys of the bucket's objects begin with."),
      tables: z.array(exportedTable).describe("Each exported table."),
    }),
  ])
  .meta({ id: "ExportStatus", description: "How far the export is." });
