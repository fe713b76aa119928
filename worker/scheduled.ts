import { logEvent } from "../common/log.ts";
import type { Config } from "./config/schema.ts";
import type { Bindings } from "./env.ts";
import { runExport, type TableOutcome } from "./export/run.ts";
import { runSeal } from "./seal/run.ts";

/**
 * An invocation has 1,000 calls to Cloudflare's own services. An export that writes more objects than this is
 * catching up, and the sealing leaves it the invocation: there are 8,000 others a month.
 */
const MAX_OBJECTS_BESIDE_SEALING = 8;

/**
 * Makes the handler of the cron trigger. It exports new rows of the audit log to the bucket that is bound as
 * `EXPORT`, if one is, and then seals what is due.
 *
 * It rejects when the export of a table or the sealing failed, so that Cloudflare counts the invocation as
 * failed.
 */
export function createScheduled(
  config: Config,
): (env: Pick<Bindings, "AUDIT_DB" | "EXPORT" | "RECORDINGS">) => Promise<void> {
  let isMissingBucketLogged = false;
  return async ({ AUDIT_DB: database, EXPORT, RECORDINGS }) => {
    if (!EXPORT) {
      if (!isMissingBucketLogged) logEvent("log", "export_without_bucket");
      isMissingBucketLogged = true;
    }
    const { prefix } = config.export;
    const now = Date.now;
    const exported = EXPORT ? await runExport({ database, bucket: EXPORT, prefix, now }) : [];
    const failed = exported.filter(({ result }) => result === "failed").map(({ table }) => `export of ${table}`);
    if (exported.reduce((sum, { objects }) => sum + objects, 0) <= MAX_OBJECTS_BESIDE_SEALING) {
      // A row leaves D1 only after it was exported.
      const keepMonths = isExported(exported) ? config.audit.seal.keepMonths : null;
      const { error } = await runSeal({ database, bucket: RECORDINGS, keepMonths, now });
      if (error !== null) failed.push("sealing");
    }
    if (failed.length > 0) throw new Error(`${failed.join(" and ")} failed`);
  };
}

function isExported(tables: readonly TableOutcome[]): boolean {
  return tables.every(({ result }) => result === "done");
}
