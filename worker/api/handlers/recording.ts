import { describeError, logEvent } from "../../../common/log.ts";
import { err, ok } from "../../../common/result.ts";
import { denial } from "../../../contract/denial.ts";
import { invokeUserObject, sessionObjectAddress } from "../../sessions/user-objects.ts";
import { streamRecording } from "../stream-recording.ts";
import type { Handler } from "./handler.ts";

export const getRecording: Handler<"getRecording"> = async ({ params: { id } }, { env }) => {
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(denial("not_found", "there is no session of this id"));
  try {
    const response = await streamRecording(env.RECORDINGS, id, (offset) =>
      invokeUserObject(env.USER_SESSIONS, address, "readRecording", { sessionId: id, offset }),
    );
    if (!response.ok) return response;
    const message = "this session has no recording: its kind or its rule has none, or it never opened";
    return response.value ? ok(response.value) : err(denial("not_found", message));
  } catch (error) {
    logEvent("recording_not_readable", { session: id, error: describeError(error) });
    return err(denial("recording_unavailable", "R2, which has the recordings, does not answer: try again"));
  }
};
