/**
 * Every call from the edge to users' objects: where an object is, how it is called, and what a failure means.
 */
import { describeError, logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { type NullableLocationHint, userObjectName } from "../../contract/placement.ts";
import { objectIdOf } from "../../contract/session-id.ts";
import {
  callUserObject,
  MAX_FAILED_TRIES,
  type UserObjectFields,
  type UserObjectMethod,
  type UserObjectValue,
} from "../../contract/user-object.ts";
import type { UserObject } from "../../contract/user-object-binding.ts";
import { readWatchAnswer, type WatchRequest, watchHeaders } from "../../contract/watch.ts";
import { type Denial, denial } from "../denials.ts";
import { type Failure, upstreamFailure } from "../failure.ts";
import { callPersistently, callWithRetries, type FailedCall } from "./retry.ts";

type Namespace = DurableObjectNamespace<UserObject>;

/**
 * Which object. Stubs are made from it, a new one for every try: an exception may have broken the one before.
 */
export interface UserObjectAddress {
  readonly id: DurableObjectId;
  /** Where the object is created if this is its first use; null for near its user. */
  readonly locationHint: NullableLocationHint;
}

const OBJECT_UNAVAILABLE = denial(
  "object_unavailable",
  "the part of Sallyport that holds the user's sessions cannot be reached: try again; " +
    "if this persists, contact your administrator",
);

/** The address of a user's object. */
export function userObjectAddress(
  namespace: Namespace,
  user: string,
  locationHint: NullableLocationHint,
): UserObjectAddress {
  return { id: namespace.idFromName(userObjectName(user, locationHint)), locationHint };
}

/** The address of the object that holds a session; undefined for anything but a session id. */
export function sessionObjectAddress(namespace: Namespace, sessionId: string): UserObjectAddress | undefined {
  const objectId = objectIdOf(sessionId);
  if (objectId === undefined) return undefined;
  try {
    return { id: namespace.idFromString(objectId), locationHint: null };
  } catch {
    // Well-formed, but an object's id of another namespace.
    return undefined;
  }
}

/**
 * Calls a method of a user's object, with retries.
 *
 * A try that failed may have been carried out, so a method may run twice. Reads and reasons are
 * idempotent, and so are the effects of commands: sessions that are
 * ended and locks that are set or lifted stay so. The second answer may miss what the first run did, and a
 * lock may be in the audit log twice. Both are better than a command that was not carried out.
 *
 * @returns the value, or the object's denial; `object_unavailable` if it cannot be reached
 */
export async function invokeUserObject<M extends UserObjectMethod>(
  namespace: Namespace,
  address: UserObjectAddress,
  method: M,
  fields: UserObjectFields<M>,
): Promise<Result<UserObjectValue<M>, Denial>> {
  const called = await callWithRetries(() => callUserObject(connect(namespace, address), method, fields));
  return called.ok ? called.value : unavailableAfter(method, called.error);
}

/** How long a request waits for the audit log. */
const RECORD_WITHIN_MS = 10_000;

type RecordAnswer = Promise<Result<UserObjectValue<"recordRequest">, Denial>>;

/** What becomes of a record. `object_unavailable` where it is not known whether it is written. */
export interface SentRecord {
  /** For whoever waits, so after 10 s at the latest. */
  readonly accepted: RecordAnswer;
  /** The same, or later: an object may be slow, or away for a while. */
  readonly arrived: RecordAnswer;
}

export interface RecordOptions {
  /** The invocation, where the call must reach an object that is slow, whoever still waits. */
  readonly outliving?: Pick<ExecutionContext, "waitUntil"> | undefined;
  /** It is called again for 20 s: it tells of what was done, and nobody can call that back. */
  readonly mustArrive?: boolean;
  /** Called after each try that failed. */
  readonly onFailedTry?: () => void;
}

/** Writes an API request to its object's audit log. A repeated try says so: the object knows what it has. */
export function recordRequest(
  namespace: Namespace,
  address: UserObjectAddress,
  fields: Omit<UserObjectFields<"recordRequest">, "failedTries">,
  { outliving, mustArrive = false, onFailedTry = () => {} }: RecordOptions = {},
): SentRecord {
  let tries = 0;
  const call = async () => {
    const failedTries = Math.min(tries++, MAX_FAILED_TRIES);
    try {
      return await callUserObject(connect(namespace, address), "recordRequest", { ...fields, failedTries });
    } catch (error) {
      onFailedTry();
      throw error;
    }
  };
  const calling = mustArrive ? callPersistently(call) : callWithRetries(call);
  let isGivenUp = false;
  const fail = (failed: FailedCall) =>
    isGivenUp ? err(OBJECT_UNAVAILABLE) : unavailableAfter("recordRequest", failed);
  const arrived = calling.then((called) => (called.ok ? called.value : fail(called.error)));
  outliving?.waitUntil(arrived);
  const accepted = withTimeout(arrived, RECORD_WITHIN_MS).catch((thrown: unknown) => {
    const answer = fail({ tries, thrown });
    isGivenUp = true;
    return answer;
  });
  return { accepted, arrived };
}

/**
 * Writes the answer to a recorded change. A second answer to the same is ignored, so this may be repeated, and
 * it is: an object that stops before it has written it would know no answer.
 */
export async function recordResponse(
  namespace: Namespace,
  address: UserObjectAddress,
  fields: UserObjectFields<"recordResponse">,
): Promise<Result<null, Denial>> {
  const called = await callPersistently(() => callUserObject(connect(namespace, address), "recordResponse", fields));
  return called.ok ? called.value : unavailableAfter("recordResponse", called.error);
}

/**
 * Calls a method of several of a user's objects at once.
 *
 * @param fieldsAt the arguments for the object at a location
 * @returns the values, or the first denial, after all objects have answered: what the others did stays done
 */
export async function invokeUserObjects<M extends UserObjectMethod>(
  namespace: Namespace,
  user: string,
  locations: readonly NullableLocationHint[],
  method: M,
  fieldsAt: (location: NullableLocationHint) => UserObjectFields<M>,
): Promise<Result<UserObjectValue<M>[], Denial>> {
  const answers = await Promise.all(
    locations.map((location) =>
      invokeUserObject(namespace, userObjectAddress(namespace, user, location), method, fieldsAt(location)),
    ),
  );
  const values: UserObjectValue<M>[] = [];
  for (const answer of answers) {
    if (!answer.ok) return answer;
    values.push(answer.value);
  }
  return ok(values);
}

/**
 * Sends a session attempt to an object.
 *
 * There is no second try: an attempt that failed may have opened a session. The platform itself sends the
 * request again if it knows that the object has not received it
 * (https://developers.cloudflare.com/durable-objects/best-practices/automatic-retries/).
 */
export async function sendAttempt(
  namespace: Namespace,
  address: UserObjectAddress,
  url: string,
  init: { readonly headers: Headers; readonly signal: AbortSignal },
): Promise<Result<Response, Failure>> {
  try {
    return ok(await connect(namespace, address).fetch(url, init));
  } catch (error) {
    // The object sees the abort too, and ends what it has begun.
    if (init.signal.aborted) return err(upstreamFailure("client_gone", "the client went away"));
    // Its message might quote the URL, which has the command.
    return unavailableAfter("fetch", { tries: 1, thrown: error instanceof Error ? error.name : "unknown error" });
  }
}

/**
 * Asks the object that holds a session to show it. There is no second try: a watch that failed may have begun.
 *
 * @param signal aborted when the watcher leaves
 * @returns the stream of its lines, or why not; `object_unavailable` if the object cannot be reached
 */
export async function sendWatch(
  namespace: Namespace,
  address: UserObjectAddress,
  watch: WatchRequest,
  signal: AbortSignal,
): Promise<Result<Response, Denial>> {
  try {
    const init = { headers: watchHeaders(watch), signal };
    return await readWatchAnswer(await connect(namespace, address).fetch("http://object/watch", init));
  } catch (thrown) {
    return unavailableAfter("watch", { tries: 1, thrown });
  }
}

/** Logs a call that failed, and says it to the person. */
export function unavailableAfter(method: string, { tries, thrown }: FailedCall): Result<never, Denial> {
  logEvent("error", "object_unavailable", { method, attempt: tries, error: describeError(thrown) });
  return err(OBJECT_UNAVAILABLE);
}

function connect(namespace: Namespace, { id, locationHint }: UserObjectAddress): DurableObjectStub<UserObject> {
  return locationHint === null ? namespace.get(id) : namespace.get(id, { locationHint });
}
