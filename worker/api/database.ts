import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { type Denial, denial } from "../denials.ts";

/** Waits for a query of the audit database. A failure or a timeout is logged and becomes a denial. */
export async function queryDatabase<T>(
  query: Promise<T>,
  withinMs: number = STORAGE_TIMEOUTS_MS.d1Query,
): Promise<Result<T, Denial>> {
  try {
    return ok(await withTimeout(query, withinMs));
  } catch (error) {
    logEvent("error", "audit_database_unavailable", { error: describeError(causeOf(error)) });
    return err(denial("audit_database_unavailable", "D1, which has the audit log, does not answer: try again"));
  }
}

/** drizzle wraps D1's error in one whose message contains the query's parameters, such as people's names. */
function causeOf(error: unknown): unknown {
  return error instanceof Error ? (error.cause ?? error) : error;
}
