/** The directory's stream of what is live, as the edge asks for it. */
import { describeError, logEvent } from "../../common/log.ts";
import { err, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { DIRECTORY_NAME } from "../../contract/directory.ts";
import { type LiveRequest, liveHeaders, readLiveAnswer } from "../../contract/live-stream.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";

/** How long the directory may take to begin, ms. */
const BEGIN_WITHIN_MS = 5_000;

function unavailable({ of }: LiveRequest) {
  const list =
    of === "access" ? "/-/access and /-/approvals list them" : "/-/admin/sessions?state=live lists what is live";
  const message = `the directory cannot be reached, or is an earlier version without this stream: try again; ${list}`;
  return denial("directory_unavailable", message);
}

/**
 * Asks the directory to tell what is live, and then what changes.
 *
 * @param asked who asks, as in the audit log, and for what
 * @param signal aborted when they leave
 * @returns the response with a record per line, or why there is none
 */
export async function openLiveStream(
  namespace: Bindings["DIRECTORY"],
  asked: LiveRequest,
  signal: AbortSignal,
): Promise<Result<Response, Denial>> {
  try {
    const init = { headers: liveHeaders(asked), signal };
    const answer = namespace.getByName(DIRECTORY_NAME).fetch("http://directory/live", init);
    return await readLiveAnswer(await withTimeout(answer, BEGIN_WITHIN_MS));
  } catch (error) {
    logEvent("warn", "directory_unavailable", { method: "live", error: describeError(error) });
    return err(unavailable(asked));
  }
}
