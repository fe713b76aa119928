import { objectIdOf } from "../../durable/session-id.ts";
import type { Bindings } from "../env.ts";

/** The object that a session id names, or undefined for a text that is no session id of this deployment. */
export function objectOf(env: Bindings, sessionId: string): ReturnType<Bindings["USER_SESSIONS"]["get"]> | undefined {
  const objectId = objectIdOf(sessionId);
  if (objectId === undefined) return undefined;
  try {
    return env.USER_SESSIONS.get(env.USER_SESSIONS.idFromString(objectId));
  } catch {
    // Well-formed, but signed for another namespace.
    return undefined;
  }
}
