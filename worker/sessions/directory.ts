import { describeError, logEvent } from "../../common/log.ts";
import { err, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import {
  callDirectory,
  type DirectoryFields,
  type DirectoryMethod,
  type DirectoryValue,
  type LivePage,
  type LiveQuery,
} from "../../contract/directory.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";

/** Lists are shown without the directory rather than late. */
const LIST_WITHIN_MS = 1_000;

const DIRECTORY_UNAVAILABLE = denial(
  "directory_unavailable",
  "the directory of live sessions cannot be reached, and what was asked may have been done: look, and try again; " +
    "if this persists, contact your administrator",
);

/**
 * Calls a method of the directory, once: whoever asks has another source, or asks again.
 *
 * @returns the value, or the directory's denial; `directory_unavailable` if it does not answer in time
 */
export async function askDirectory<M extends DirectoryMethod>(
  namespace: Bindings["DIRECTORY"],
  method: M,
  fields: DirectoryFields<M>,
  withinMs: number,
): Promise<Result<DirectoryValue<M>, Denial>> {
  try {
    const answer = await withTimeout(callDirectory(namespace, method, fields), withinMs);
    if (!answer.ok) logEvent("warn", "directory_unavailable", { method, error: answer.error.code });
    return answer;
  } catch (error) {
    logEvent("warn", "directory_unavailable", { method, error: describeError(error) });
    return err(DIRECTORY_UNAVAILABLE);
  }
}

/**
 * Asks the directory what is live.
 *
 * @returns undefined if it does not answer
 */
export async function findLive(namespace: Bindings["DIRECTORY"], query: LiveQuery): Promise<LivePage | undefined> {
  const page = await askDirectory(namespace, "listLive", query, LIST_WITHIN_MS);
  return page.ok ? page.value : undefined;
}
