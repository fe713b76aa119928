import {
  callUserObject,
  type UserObjectCalls,
  type UserObjectFields,
  type UserObjectMethod,
  type UserObjectValue,
} from "../../contract/user-object.ts";
import type { UserObject } from "../../contract/user-object-binding.ts";
import type { NullableLocationHint } from "../config/location-hints.ts";

type Namespace = DurableObjectNamespace<UserObject>;

/**
 * The object that holds a user's sessions with the clusters that share a location hint. A cluster without a hint shares the one near the
 * user with all others of its kind.
 *
 * @param user as in the record; it has no space in it (see worker/access/authenticate.ts), so no name is another's object
 */
export function userObjectName(user: string, locationHint: NullableLocationHint): string {
  return locationHint === null ? user : `${user} ${locationHint}`;
}

/** @returns its stub; used for the first time, the object comes to live there */
export function userObjectAt(
  namespace: Namespace,
  user: string,
  locationHint: NullableLocationHint,
): DurableObjectStub<UserObject> {
  const id = namespace.idFromName(userObjectName(user, locationHint));
  return locationHint === null ? namespace.get(id) : namespace.get(id, { locationHint: locationHint });
}

/**
 * Asks a user's objects at each of these places at once.
 *
 * @throws where one of them failed, after all have answered: what the others did stands
 */
export async function broadcastToUserObjects<T>(
  namespace: Namespace,
  user: string,
  places: readonly NullableLocationHint[],
  ask: (object: DurableObjectStub<UserObject>, locationHint: NullableLocationHint) => Promise<T>,
): Promise<T[]> {
  const answers = await Promise.allSettled(
    places.map(async (locationHint) => ask(userObjectAt(namespace, user, locationHint), locationHint)),
  );
  return answers.map((answer) => {
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  });
}

/** Calls one method of an object. @throws where the object cannot be reached, or refuses */
export async function askUserObject<M extends UserObjectMethod>(
  object: UserObjectCalls,
  method: M,
  fields: UserObjectFields<M>,
): Promise<UserObjectValue<M>> {
  const answer = await callUserObject(object, method, fields);
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.value;
}
