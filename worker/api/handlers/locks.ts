import type * as z from "zod";
import type { UserLock } from "../../../audit/events.ts";
import { err, ok } from "../../../common/result.ts";
import { type Denial, denial } from "../../denials.ts";
import { invokeUserObject, userObjectAddress } from "../../sessions/user-objects.ts";
import { commandUserObjects } from "../command-user-objects.ts";
import { readReason } from "../schemas/command.ts";
import type { lock as lockSchema } from "../schemas/lock.ts";
import type { Handler } from "./handler.ts";

export const getLock: Handler<"getLock"> = async ({ params: { email } }, { env }) => {
  const address = userObjectAddress(env.USER_SESSIONS, email, null);
  const lock = await invokeUserObject(env.USER_SESSIONS, address, "currentLock", {});
  if (!lock.ok) return lock;
  return lock.value ? ok(lockJson(lock.value)) : err(notLocked(email));
};

export const lockUser: Handler<"lockUser"> = async ({ params: { email }, query, body }, { identity, env }) => {
  const minutes = body.minutes ?? query.minutes;
  const until = minutes === undefined ? null : Date.now() + minutes * 60_000;
  const lock: UserLock = { user: email, by: identity.name, reason: readReason(query, body), until };
  // One of the objects writes the lock to the audit log.
  const ended = await commandUserObjects(env, email, "lock", (location) => ({ lock, isAudited: location === null }));
  return ended.ok ? ok({ ...lockJson(lock), ended: ended.value.flat() }) : ended;
};

export const unlockUser: Handler<"unlockUser"> = async ({ params: { email }, query, body }, { identity, env }) => {
  const fields = { user: email, by: identity.name, reason: readReason(query, body) };
  const wereLocked = await commandUserObjects(env, email, "unlock", (location) => ({
    ...fields,
    isAudited: location === null,
  }));
  if (!wereLocked.ok) return wereLocked;
  return wereLocked.value.includes(true) ? ok({ user: email, locked: false }) : err(notLocked(email));
};

function lockJson({ user, by, reason, until }: UserLock): z.output<typeof lockSchema> {
  return { user, locked: true, by, reason, until: until === null ? null : new Date(until).toISOString() };
}

function notLocked(email: string): Denial {
  return denial("not_found", `${email} is not locked`);
}
