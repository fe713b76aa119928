import { describeError, logEvent } from "../../common/log.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { callDirectory, type LivePage, type LiveQuery } from "../../contract/directory.ts";
import type { Bindings } from "../env.ts";

/** Lists are shown without the directory rather than late. */
const TIMEOUT_MS = 1_000;

/**
 * Asks the directory what is live. It is tried once: whoever asks has another source, or asks again.
 *
 * @returns undefined if it does not answer
 */
export async function findLive(namespace: Bindings["DIRECTORY"], query: LiveQuery): Promise<LivePage | undefined> {
  try {
    const answer = await withTimeout(callDirectory(namespace, "listLive", query), TIMEOUT_MS);
    if (answer.ok) return answer.value;
    logEvent("warn", "directory_unavailable", { error: answer.error.code });
  } catch (error) {
    logEvent("warn", "directory_unavailable", { error: describeError(error) });
  }
  return undefined;
}
