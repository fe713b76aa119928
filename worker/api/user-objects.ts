/** How the API reaches the objects that hold users' sessions. */
import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { objectIdOf } from "../../contract/session-id.ts";
import type { UserObject } from "../../contract/user-object-binding.ts";
import { ALL_OBJECT_LOCATIONS, type NullableLocationHint } from "../config/location-hints.ts";
import type { Bindings } from "../env.ts";
import { broadcastToUserObjects } from "../sessions/user-objects.ts";

type Stub = DurableObjectStub<UserObject>;

/** The object that a session id names. Undefined: the text is no session id of this deployment. */
export function findUserObject({ USER_SESSIONS }: Bindings, sessionId: string): Stub | undefined {
  const objectId = objectIdOf(sessionId);
  if (objectId === undefined) return undefined;
  try {
    return USER_SESSIONS.get(USER_SESSIONS.idFromString(objectId));
  } catch {
    // Well-formed, but made for another namespace.
    return undefined;
  }
}

/**
 * Sends a command to all of a user's objects, at every location that there is. Sessions that an earlier configuration
 * placed must end, too, and a lock of today must hold under tomorrow's configuration.
 *
 * @param user in lower case
 * @returns their answers; where one did not answer, a denial, although the others have carried the command out
 */
export async function broadcastCommand<T>(
  { USER_SESSIONS }: Bindings,
  user: string,
  command: (object: Stub, location: NullableLocationHint) => Promise<T>,
): Promise<Result<T[], Denial>> {
  try {
    return ok(await broadcastToUserObjects(USER_SESSIONS, user, ALL_OBJECT_LOCATIONS, command));
  } catch (error) {
    logEvent("object_unavailable", { error: describeError(error) });
    const message = `one of the objects of ${user} did not answer: the command may not hold everywhere, repeat it`;
    return err(denial("object_unavailable", message));
  }
}
