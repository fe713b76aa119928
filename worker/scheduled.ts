import { logEvent } from "../common/log.ts";
import type { Config } from "./config/schema.ts";
import { REMOVED_ACCESS_CRON } from "./crons.ts";
import type { Bindings } from "./env.ts";
import { runExport, type TableOutcome } from "./export/run.ts";
import { runSeal } from "./seal/run.ts";
import { noteGivenAccess } from "./sessions/given-access.ts";
import { endRemovedAccess } from "./sessions/removed-grants.ts";

/**
 * An invocation has 1,000 calls to Cloudflare's own services. An export that writes more objects than this is
 * catching up, and the sealing leaves it the invocation: there are 8,000 others a month.
 */
const MAX_OBJECTS_BESIDE_SEALING = 8;

type ScheduledBindings = Pick<Bindings, "AUDIT_DB" | "DIRECTORY" | "EXPORT" | "RECORDINGS" | "USER_SESSIONS">;

/**
 * Makes the handler of the cron triggers. One of them ends access that the document no longer gives, and
 * notes what it gives for those who end what is open. Each of the others exports new rows of the audit log to
 * the bucket that is bound as `EXPORT`, if one is, and then seals what is due.
 *
 * It rejects when something of it failed, so that Cloudflare counts the invocation as failed.
 */
export function createScheduled(config: Config): (cron: string, env: ScheduledBindings) => Promise<void> {
  let isMissingBucketLogged = false;
  const exportAndSeal = async ({ AUDIT_DB: database, EXPORT, RECORDINGS }: ScheduledBindings): Promise<string[]> => {
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
    return failed;
  };
  return async (cron, env) => {
    const isForAccess = cron === REMOVED_ACCESS_CRON;
    const failed = await (isForAccess ? endWhatIsNotGiven(env, config.grants) : exportAndSeal(env));
    if (failed.length > 0) throw new Error(`${failed.join(" and ")} failed`);
  };
}

async function endWhatIsNotGiven(env: ScheduledBindings, grants: Config["grants"]): Promise<string[]> {
  const now = Date.now();
  const done = [endRemovedAccess(env, grants, now), noteGivenAccess(env.RECORDINGS, grants, now)];
  return (await Promise.all(done)).flat();
}

function isExported(tables: readonly TableOutcome[]): boolean {
  return tables.every(({ result }) => result === "done");
}
