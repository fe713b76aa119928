import { err, ok } from "../../../common/result.ts";
import { denial } from "../../../contract/denial.ts";
import { askUserObject } from "../../sessions/user-objects.ts";
import { readReason } from "../schemas/command.ts";
import { broadcastCommand, findUserObject } from "../user-objects.ts";
import type { Handler } from "./handler.ts";

/** Asks the object alone, so it works without D1. */
export const endSession: Handler<"endSession"> = async ({ params: { id }, query, body }, { identity, env }) => {
  const object = findUserObject(env, id);
  const hasEnded =
    object !== undefined &&
    (await askUserObject(object, "terminate", { sessionId: id, by: identity.name, reason: readReason(query, body) }));
  return hasEnded
    ? ok({ ended: [id] })
    : err(denial("not_found", "no live session has this id: it may have ended by itself"));
};

export const endUserSessions: Handler<"endUserSessions"> = async ({ params, query, body }, { identity, env }) => {
  const reason = readReason(query, body);
  const lists = await broadcastCommand(env, params.email, (object) =>
    askUserObject(object, "terminateAll", { by: identity.name, reason }),
  );
  return lists.ok ? ok({ ended: lists.value.flat() }) : lists;
};
