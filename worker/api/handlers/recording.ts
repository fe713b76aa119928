import { err } from "../../../common/result.ts";
import { denial } from "../../denials.ts";
import { invokeUserObject, sessionObjectAddress } from "../../sessions/user-objects.ts";
import { streamRecording } from "../stream-recording.ts";
import type { Handler } from "./handler.ts";

export const getRecording: Handler<"getRecording"> = async ({ params: { id } }, { env, request }) => {
  const { USER_SESSIONS, RECORDINGS } = env;
  const address = sessionObjectAddress(USER_SESSIONS, id);
  if (!address) return err(denial("not_found", "there is no session with this id"));
  const readSpool = (offset: number) =>
    invokeUserObject(USER_SESSIONS, address, "readRecording", { sessionId: id, offset });
  return streamRecording(RECORDINGS, id, readSpool, request.headers.get("Range"));
};
