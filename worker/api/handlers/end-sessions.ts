import { err, ok } from "../../../common/result.ts";
import { denial } from "../../../contract/denial.ts";
import { invokeUserObject, sessionObjectAddress } from "../../sessions/user-objects.ts";
import { readReason } from "../schemas/command.ts";
import { broadcastCommand } from "../user-objects.ts";
import type { Handler } from "./handler.ts";

/** Asks the object alone, so it works without D1. */
export const endSession: Handler<"endSession"> = async ({ params: { id }, query, body }, { identity, env }) => {
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(NOT_LIVE);
  const command = { sessionId: id, by: identity.name, reason: readReason(query, body) };
  const wasLive = await invokeUserObject(env.USER_SESSIONS, address, "terminate", command);
  if (!wasLive.ok) return wasLive;
  return wasLive.value ? ok({ ended: [id] }) : err(NOT_LIVE);
};

const NOT_LIVE = denial("not_found", "no live session has this id: it may have ended by itself");

export const endUserSessions: Handler<"endUserSessions"> = async ({ params, query, body }, { identity, env }) => {
  const command = { by: identity.name, reason: readReason(query, body) };
  const lists = await broadcastCommand(env, params.email, "terminateAll", () => command);
  return lists.ok ? ok({ ended: lists.value.flat() }) : lists;
};
