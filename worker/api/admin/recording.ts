import { jsonError } from "../../json.ts";
import { askUserObject } from "../../sessions/user-objects.ts";
import type { AdminRequest } from "./request.ts";
import { serveRecording } from "./stream-recording.ts";
import { findUserObject } from "./user-objects.ts";

/** `GET sessions/{id}/recording`: the asciicast, as far as it goes where the session is live. */
export async function readRecording({ env, part: sessionId }: AdminRequest): Promise<Response> {
  const stub = findUserObject(env, sessionId);
  if (!stub) return jsonError("not_found", "there is no session of this id");
  try {
    const response = await serveRecording(env.RECORDINGS, sessionId, (offset) =>
      askUserObject(stub, "readRecording", { sessionId, offset }),
    );
    return (
      response ??
      jsonError("not_found", "this session has no recording: its kind or its rule has none, or it never opened")
    );
  } catch (error) {
    console.error(`admin: the recording of session ${sessionId} cannot be read: ${String(error)}`);
    return jsonError("recording_unavailable", "R2, which has the recordings, does not answer: try again");
  }
}
