import { logEvent } from "../../common/log.ts";
import type { Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import { runExport } from "./run.ts";

/**
 * Makes the handler of the cron trigger. It exports new rows of the audit log
 * to the bucket that is bound as `EXPORT`.
 *
 * Without the binding it does nothing and logs that once per isolate. It rejects when the export of a table
 * failed, so that Cloudflare counts the invocation as failed.
 */
export function createScheduled(config: Config): (env: Pick<Bindings, "AUDIT_DB" | "EXPORT">) => Promise<void> {
  let isMissingBucketLogged = false;
  return async ({ AUDIT_DB, EXPORT }) => {
    if (!EXPORT) {
      if (!isMissingBucketLogged) logEvent("warn", "export_without_bucket");
      isMissingBucketLogged = true;
      return;
    }
    const { prefix } = config.export;
    const outcomes = await runExport({ database: AUDIT_DB, bucket: EXPORT, prefix, now: Date.now });
    const failed = outcomes.filter(({ result }) => result === "failed").map(({ table }) => table);
    if (failed.length > 0) throw new Error(`export of ${failed.join(" and ")} failed`);
  };
}
