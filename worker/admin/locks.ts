import type { UserLock } from "../../audit/events.ts";
import { json, jsonError } from "../json.ts";
import { readOrder } from "./order.ts";
import type { AdminRequest } from "./router.ts";

/** `PUT locks/{email}`: ends the user's sessions and lets none open, for so many minutes or until it is lifted. */
export async function lockUser({ request, url, admin, env, part: email }: AdminRequest): Promise<Response> {
  const order = await readOrder(request, url);
  if (!order.ok) return jsonError("bad_request", order.words);
  const user = email.toLowerCase();
  const until = order.minutes === undefined ? null : Date.now() + order.minutes * 60_000;
  const lock: UserLock = { user, by: admin.name, reason: order.reason, until };
  const ended = await env.USER_SESSIONS.getByName(user).lock(lock);
  return json({ ...lockJson(lock), ended });
}

/** `GET locks/{email}`. */
export async function showLock({ env, part: email }: AdminRequest): Promise<Response> {
  const lock = await env.USER_SESSIONS.getByName(email.toLowerCase()).currentLock();
  return lock ? json(lockJson(lock)) : notLocked(email);
}

/** `DELETE locks/{email}`: lifts it. */
export async function unlockUser({ request, url, admin, env, part: email }: AdminRequest): Promise<Response> {
  const order = await readOrder(request, url);
  if (!order.ok) return jsonError("bad_request", order.words);
  const user = email.toLowerCase();
  const wasLocked = await env.USER_SESSIONS.getByName(user).unlock(user, admin.name, order.reason);
  return wasLocked ? json({ user, locked: false }) : notLocked(email);
}

function lockJson({ user, by, reason, until }: UserLock) {
  return { user, locked: true, by, reason, until: until === null ? null : new Date(until).toISOString() };
}

function notLocked(email: string): Response {
  return jsonError("not_found", `${email.toLowerCase()} is not locked`);
}
