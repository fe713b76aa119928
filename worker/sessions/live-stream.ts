/** The directory's stream of what is live, as the edge asks for it. */
import { describeError, logEvent } from "../../common/log.ts";
import { err, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { DIRECTORY_NAME } from "../../contract/directory.ts";
import { liveHeaders, readLiveAnswer } from "../../contract/live-stream.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";

/** How long the directory may take to begin, ms. */
const BEGIN_WITHIN_MS = 5_000;

const UNAVAILABLE = denial(
  "directory_unavailable",
  "the directory of live sessions cannot be reached, or is an earlier version without this stream: try again; " +
    "/-/admin/sessions?state=live lists what is live",
);

/**
 * Asks the directory to tell what is live, and then what changes.
 *
 * @param by who asks, as in the audit log
 * @param signal aborted when they leave
 * @returns the response with a record per line, or why there is none
 */
export async function openLiveStream(
  namespace: Bindings["DIRECTORY"],
  by: string,
  signal: AbortSignal,
): Promise<Result<Response, Denial>> {
  try {
    const init = { headers: liveHeaders({ by }), signal };
    const asked = namespace.getByName(DIRECTORY_NAME).fetch("http://directory/live", init);
    return await readLiveAnswer(await withTimeout(asked, BEGIN_WITHIN_MS));
  } catch (error) {
    logEvent("warn", "directory_unavailable", { method: "live", error: describeError(error) });
    return err(UNAVAILABLE);
  }
}
