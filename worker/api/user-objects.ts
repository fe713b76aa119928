/** Commands of administrators to all objects of a user. */
import { err, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import type { UserObjectFields, UserObjectMethod, UserObjectValue } from "../../contract/user-object.ts";
import { ALL_OBJECT_LOCATIONS, type NullableLocationHint } from "../config/location-hints.ts";
import type { Bindings } from "../env.ts";
import { invokeUserObjects } from "../sessions/user-objects.ts";

/**
 * Sends a command to all of a user's objects, at every location that there is. Sessions that an earlier configuration
 * placed must end, too, and a lock of today must hold under tomorrow's configuration.
 *
 * @param user in lower case
 * @param fieldsAt the command for the object at a location
 * @returns their answers; where one did not answer, a denial, although the others have carried the command out
 */
export async function broadcastCommand<M extends UserObjectMethod>(
  { USER_SESSIONS }: Bindings,
  user: string,
  method: M,
  fieldsAt: (location: NullableLocationHint) => UserObjectFields<M>,
): Promise<Result<UserObjectValue<M>[], Denial>> {
  const answers = await invokeUserObjects(USER_SESSIONS, user, ALL_OBJECT_LOCATIONS, method, fieldsAt);
  if (answers.ok || answers.error.code !== "object_unavailable") return answers;
  const message = `one of the objects of ${user} did not answer: the command may not hold everywhere, repeat it`;
  return err(denial("object_unavailable", message));
}
