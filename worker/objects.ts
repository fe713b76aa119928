import type { UserSessions } from "../durable/user-sessions.ts";
import type { Place } from "./config/places.ts";

type Namespace = DurableObjectNamespace<UserSessions>;

/**
 * The object that holds a user's sessions with the clusters of one place. A cluster without a hint shares the one near the
 * user with all others of its kind.
 *
 * @param user as in the record; it has no space in it (see worker/authenticate.ts), so no name is another's object
 */
export function objectName(user: string, place: Place): string {
  return place === null ? user : `${user} ${place}`;
}

/** @returns its stub; used for the first time, the object comes to live at the place */
export function objectAt(namespace: Namespace, user: string, place: Place): DurableObjectStub<UserSessions> {
  const id = namespace.idFromName(objectName(user, place));
  return place === null ? namespace.get(id) : namespace.get(id, { locationHint: place });
}

/**
 * Asks a user's objects at each of these places at once.
 *
 * @throws where one of them failed, after all have answered: what the others did stands
 */
export async function atPlaces<T>(
  namespace: Namespace,
  user: string,
  places: readonly Place[],
  ask: (object: DurableObjectStub<UserSessions>, place: Place) => Promise<T>,
): Promise<T[]> {
  const answers = await Promise.allSettled(places.map(async (place) => ask(objectAt(namespace, user, place), place)));
  return answers.map((answer) => {
    if (answer.status === "rejected") throw answer.reason;
    return answer.value;
  });
}
