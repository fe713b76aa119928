import { err, ok } from "../../../common/result.ts";
import { type Denial, denial } from "../../denials.ts";
import { invokeUserObject, sessionObjectAddress } from "../../sessions/user-objects.ts";
import { commandUserObjects } from "../command-user-objects.ts";
import { readReason } from "../schemas/command.ts";
import type { Handler } from "./handler.ts";

const NOT_LIVE: Denial = denial("not_found", "no live session has this id: it may have ended by itself");

const NOT_WATCHING: Denial = denial(
  "not_admin",
  "this requires the role admin; an auditor may end a session that must be watched while they watch it",
);

/** Asks the object alone, so it works without D1. */
export const endSession: Handler<"endSession"> = async ({ params: { id }, query, body }, { identity, env }) => {
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(NOT_LIVE);
  const fields = { sessionId: id, by: identity.name, reason: readReason(query, body) };
  if (!identity.roles.includes("admin")) {
    const ended = await invokeUserObject(env.USER_SESSIONS, address, "endWatched", fields);
    if (!ended.ok) return ended;
    // To an auditor who may not end it, a session that has ended is no different.
    return ended.value === "ended" ? ok({ ended: [id] }) : err(NOT_WATCHING);
  }
  const wasLive = await invokeUserObject(env.USER_SESSIONS, address, "terminate", fields);
  if (!wasLive.ok) return wasLive;
  return wasLive.value ? ok({ ended: [id] }) : err(NOT_LIVE);
};

export const endUserSessions: Handler<"endUserSessions"> = async ({ params, query, body }, { identity, env }) => {
  const fields = { by: identity.name, reason: readReason(query, body) };
  const ended = await commandUserObjects(env, params.email, "terminateAll", () => fields);
  return ended.ok ? ok({ ended: ended.value.flat() }) : ended;
};
