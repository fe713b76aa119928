import { makeSessionId } from "../contract/session-id.ts";

/**
 * Makes the id of an event that belongs to no session, or of a request for access. Like a session's id, it
 * names the object.
 *
 * @param now ms since the epoch
 */
export function makeEventId(objectId: DurableObjectId, now: number): string {
  return makeSessionId(objectId.toString(), now, crypto.getRandomValues(new Uint8Array(10)));
}
