import { json, jsonError } from "../../json.ts";
import { askUserObject } from "../../sessions/user-objects.ts";
import { readCommand } from "./command.ts";
import type { AdminRequest } from "./request.ts";
import { broadcastCommand, findUserObject, partialFailure } from "./user-objects.ts";

/** `DELETE sessions/{id}`: ends one session. Asks the object alone, so it works without D1. */
export async function endSession({ request, url, admin, env, part: sessionId }: AdminRequest): Promise<Response> {
  const order = await readCommand(request, url);
  if (!order.ok) return jsonError("bad_request", order.words);
  const stub = findUserObject(env, sessionId);
  const ended =
    stub !== undefined && (await askUserObject(stub, "terminate", { sessionId, by: admin.name, reason: order.reason }));
  return ended
    ? json({ ended: [sessionId] })
    : jsonError("not_found", "no live session has this id: it may have ended by itself");
}

/** `DELETE users/{email}/sessions`: ends all of a user's sessions; none is no error. */
export async function endUserSessions({ request, url, admin, env, part: email }: AdminRequest): Promise<Response> {
  const order = await readCommand(request, url);
  if (!order.ok) return jsonError("bad_request", order.words);
  const lists = await broadcastCommand(env, email, (object) =>
    askUserObject(object, "terminateAll", { by: admin.name, reason: order.reason }),
  );
  return lists ? json({ ended: lists.flat() }) : partialFailure(email);
}
