import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { denial } from "../../contract/denial.ts";
import {
  callUserObject,
  type UserObjectCalls,
  type UserObjectFields,
  type UserObjectMethod,
  type UserObjectValue,
} from "../../contract/user-object.ts";
import type { UserObject } from "../../contract/user-object-binding.ts";
import type { NullableLocationHint } from "../config/location-hints.ts";
import { type Failure, upstreamFailure } from "../failure.ts";

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

/**
 * Sends a session attempt to an object.
 *
 * There is no second try: an attempt that failed may have opened a session. The platform itself sends the request again
 * where it knows that the object has not received it
 * (https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/).
 */
export async function fetchUserObject(
  object: DurableObjectStub<UserObject>,
  url: string,
  init: { readonly headers: Headers; readonly signal: AbortSignal },
): Promise<Result<Response, Failure>> {
  try {
    return ok(await object.fetch(url, init));
  } catch (error) {
    // The object sees the abort too, and ends what it has begun.
    if (init.signal.aborted) return err(upstreamFailure("client_gone", "the client went away"));
    logEvent("object_unavailable", { method: "fetch", attempt: 1, error: describeError(error) });
    return err(OBJECT_UNAVAILABLE);
  }
}

const OBJECT_UNAVAILABLE = denial(
  "object_unavailable",
  "the part of Sallyport that holds your sessions cannot be reached: try again; " +
    "if this persists, contact your administrator",
);
