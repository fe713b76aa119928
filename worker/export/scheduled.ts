import type { Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import { runExport } from "./run.ts";

/**
 * Makes the handler of the cron trigger: it exports what is new in the record to the bucket `EXPORT`, where there is one.
 * It rejects when a table's export failed, so that the run counts as failed on Cloudflare's side too.
 */
export function createScheduled(config: Config): (env: Pick<Bindings, "AUDIT_DB" | "EXPORT">) => Promise<void> {
  let hasSaidSo = false;
  return async ({ AUDIT_DB, EXPORT }) => {
    if (!EXPORT) {
      if (!hasSaidSo) console.warn("export: the deployment binds no bucket as EXPORT, so nothing is exported");
      hasSaidSo = true;
      return;
    }
    const means = { database: AUDIT_DB, bucket: EXPORT, prefix: config.export.prefix, now: Date.now };
    const failed = (await runExport(means)).filter(({ result }) => result === "failed");
    if (failed.length > 0) throw new Error(`export of ${failed.map(({ table }) => table).join(" and ")} failed`);
  };
}
