import type { UserLock } from "../../../audit/events.ts";
import { json, jsonError } from "../../json.ts";
import { askUserObject, userObjectAt } from "../../sessions/user-objects.ts";
import { readCommand } from "./command.ts";
import type { AdminRequest } from "./request.ts";
import { broadcastCommand, partialFailure } from "./user-objects.ts";

/** `PUT locks/{email}`: ends the user's sessions and lets none open, for so many minutes or until it is lifted. */
export async function lockUser({ request, url, admin, env, part: email }: AdminRequest): Promise<Response> {
  const order = await readCommand(request, url);
  if (!order.ok) return jsonError("bad_request", order.words);
  const user = email.toLowerCase();
  const until = order.minutes === undefined ? null : Date.now() + order.minutes * 60_000;
  const lock: UserLock = { user, by: admin.name, reason: order.reason, until };
  const lists = await broadcastCommand(env, user, (object, place) =>
    askUserObject(object, "lock", { lock, isAudited: place === null }),
  );
  return lists ? json({ ...lockJson(lock), ended: lists.flat() }) : partialFailure(user);
}

/** `GET locks/{email}`. */
export async function showLock({ env, part: email }: AdminRequest): Promise<Response> {
  const lock = await askUserObject(userObjectAt(env.USER_SESSIONS, email.toLowerCase(), null), "currentLock", {});
  return lock ? json(lockJson(lock)) : notLocked(email);
}

/** `DELETE locks/{email}`: lifts it. */
export async function unlockUser({ request, url, admin, env, part: email }: AdminRequest): Promise<Response> {
  const order = await readCommand(request, url);
  if (!order.ok) return jsonError("bad_request", order.words);
  const user = email.toLowerCase();
  const were = await broadcastCommand(env, user, (object, place) =>
    askUserObject(object, "unlock", { user, by: admin.name, reason: order.reason, isAudited: place === null }),
  );
  if (!were) return partialFailure(user);
  return were.includes(true) ? json({ user, locked: false }) : notLocked(email);
}

function lockJson({ user, by, reason, until }: UserLock) {
  return { user, locked: true, by, reason, until: until === null ? null : new Date(until).toISOString() };
}

function notLocked(email: string): Response {
  return jsonError("not_found", `${email.toLowerCase()} is not locked`);
}
