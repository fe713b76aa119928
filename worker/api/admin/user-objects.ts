import { objectIdOf } from "../../../contract/session-id.ts";
import type { UserObject } from "../../../contract/user-object-binding.ts";
import { ALL_OBJECT_LOCATIONS, type NullableLocationHint } from "../../config/location-hints.ts";
import type { Bindings } from "../../env.ts";
import { jsonError } from "../../json.ts";
import { broadcastToUserObjects } from "../../sessions/user-objects.ts";

/** The object that a session id names, or undefined for a text that is no session id of this deployment. */
export function findUserObject(
  env: Bindings,
  sessionId: string,
): ReturnType<Bindings["USER_SESSIONS"]["get"]> | undefined {
  const objectId = objectIdOf(sessionId);
  if (objectId === undefined) return undefined;
  try {
    return env.USER_SESSIONS.get(env.USER_SESSIONS.idFromString(objectId));
  } catch {
    // Well-formed, but signed for another namespace.
    return undefined;
  }
}

/**
 * Gives an order to all of a user's objects, wherever they may live: a session that yesterday's configuration placed must
 * end too, and a lock of today must hold under tomorrow's.
 *
 * @returns what they answered, or undefined where one did not (which is logged): the others have carried it out
 */
export async function broadcastCommand<T>(
  env: Bindings,
  user: string,
  order: (object: DurableObjectStub<UserObject>, place: NullableLocationHint) => Promise<T>,
): Promise<T[] | undefined> {
  try {
    return await broadcastToUserObjects(env.USER_SESSIONS, user.toLowerCase(), ALL_OBJECT_LOCATIONS, order);
  } catch (error) {
    console.error(`admin: one of a user's objects does not answer: ${String(error)}`);
    return undefined;
  }
}

/** The answer where it was not carried out everywhere. */
export function partialFailure(user: string): Response {
  return jsonError(
    "object_unavailable",
    `one of the objects of ${user.toLowerCase()} did not answer: the order may not hold everywhere, give it again`,
  );
}
