import { err, type Result } from "../../common/result.ts";
import { ALL_OBJECT_LOCATIONS, type NullableLocationHint } from "../../contract/placement.ts";
import type { UserObjectFields, UserObjectMethod, UserObjectValue } from "../../contract/user-object.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import { invokeUserObjects } from "../sessions/user-objects.ts";

/**
 * Sends a command to all of a user's objects, at every location that exists. A command reaches sessions
 * that an earlier configuration placed, and a lock holds under every later configuration.
 *
 * @param user in lower case
 * @param fieldsAt the arguments for the object at a location
 * @returns their answers, or a denial if one did not carry the command out; the others did all the same
 */
export async function commandUserObjects<M extends UserObjectMethod>(
  { USER_SESSIONS }: Bindings,
  user: string,
  method: M,
  fieldsAt: (location: NullableLocationHint) => UserObjectFields<M>,
): Promise<Result<UserObjectValue<M>[], Denial>> {
  const answers = await invokeUserObjects(USER_SESSIONS, user, ALL_OBJECT_LOCATIONS, method, fieldsAt);
  if (answers.ok) return answers;
  const message = `not every object of ${user} carried this out, so it may not hold everywhere: repeat the command`;
  return err(denial(answers.error.code, message));
}
