import type { UserSessions } from "../../durable/user-sessions.ts";
import type { NullableLocationHint } from "../config/location-hints.ts";

type Namespace = DurableObjectNamespace<UserSessions>;

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
): DurableObjectStub<UserSessions> {
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
  ask: (object: DurableObjectStub<UserSessions>, locationHint: NullableLocationHint) => Promise<T>,
): Promise<T[]> {
  const answers = await Promise.allSettled(
    places.map(async (locationHint) => ask(userObjectAt(namespace, user, locationHint), locationHint)),
  );
  return answers.map((answer) => {
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  });
}
