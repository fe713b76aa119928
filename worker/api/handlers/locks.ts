import type * as z from "zod";
import type { UserLock } from "../../../audit/events.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import { LOCATION_HINTS, type LocationHint } from "../../../contract/placement.ts";
import type { UserObjectValue } from "../../../contract/user-object.ts";
import { type Denial, denial } from "../../denials.ts";
import type { Bindings } from "../../env.ts";
import { invokeUserObject, userObjectAddress } from "../../sessions/user-objects.ts";
import { commandUserObjects } from "../command-user-objects.ts";
import { readReason } from "../schemas/command.ts";
import type { lock as lockSchema } from "../schemas/lock.ts";
import type { Handler } from "./handler.ts";

export const getLock: Handler<"getLock"> = async ({ params: { email } }, { env }) => {
  const address = userObjectAddress(env.USER_SESSIONS, email, null);
  const described = await invokeUserObject(env.USER_SESSIONS, address, "describeLock", {});
  if (described.ok) return lockOrNone(email, described.value.lock, described.value.notReached);
  if (described.error.code !== "contract_mismatch") return described;
  // As of older code, which copies nothing.
  const lock = await invokeUserObject(env.USER_SESSIONS, address, "currentLock", {});
  return lock.ok ? lockOrNone(email, lock.value, []) : lock;
};

export const lockUser: Handler<"lockUser"> = async ({ params: { email }, query, body }, { identity, env }) => {
  const minutes = body.minutes ?? query.minutes;
  const until = minutes === undefined ? null : Date.now() + minutes * 60_000;
  const lock: UserLock = { user: email, by: identity.name, reason: readReason(query, body), until };
  const locked = await decideLock(env, lock);
  return locked.ok ? ok({ ...lockJson(lock), ...locked.value }) : locked;
};

export const unlockUser: Handler<"unlockUser"> = async ({ params: { email }, query, body }, { identity, env }) => {
  const command = { user: email, by: identity.name, reason: readReason(query, body) };
  const unlocked = await decideUnlock(env, command);
  if (!unlocked.ok) return unlocked;
  const { wasLocked, notReached } = unlocked.value;
  return wasLocked ? ok({ user: email, locked: false, notReached }) : err(notLocked(email));
};

/**
 * The object without a location hint decides, and copies it to all others: also to those of an earlier or a
 * later configuration.
 */
async function decideLock(env: Bindings, lock: UserLock): Promise<Result<UserObjectValue<"decideLock">, Denial>> {
  const address = userObjectAddress(env.USER_SESSIONS, lock.user, null);
  const fields = { lock, copyTo: [...LOCATION_HINTS] };
  const decided = await invokeUserObject(env.USER_SESSIONS, address, "decideLock", fields);
  if (decided.ok || decided.error.code !== "contract_mismatch") return decided;
  // An object may run older code for as long as it has a session open. It knows the frozen command.
  const ended = await commandUserObjects(env, lock.user, "lock", (location) => ({
    lock,
    isAudited: location === null,
  }));
  return ended.ok ? ok({ ended: ended.value.flat(), notReached: [] }) : ended;
}

async function decideUnlock(
  env: Bindings,
  command: Pick<UserLock, "user" | "by" | "reason">,
): Promise<Result<UserObjectValue<"decideUnlock">, Denial>> {
  const address = userObjectAddress(env.USER_SESSIONS, command.user, null);
  const fields = { ...command, copyTo: [...LOCATION_HINTS] };
  const decided = await invokeUserObject(env.USER_SESSIONS, address, "decideUnlock", fields);
  if (decided.ok || decided.error.code !== "contract_mismatch") return decided;
  const wereLocked = await commandUserObjects(env, command.user, "unlock", (location) => ({
    ...command,
    isAudited: location === null,
  }));
  return wereLocked.ok ? ok({ wasLocked: wereLocked.value.includes(true), notReached: [] }) : wereLocked;
}

function lockOrNone(
  email: string,
  lock: UserLock | null,
  notReached: LocationHint[],
): Result<z.output<typeof lockSchema>, Denial> {
  return lock ? ok({ ...lockJson(lock), notReached }) : err(notLocked(email));
}

function lockJson({ user, by, reason, until }: UserLock): Omit<z.output<typeof lockSchema>, "notReached"> {
  return { user, locked: true, by, reason, until: until === null ? null : new Date(until).toISOString() };
}

function notLocked(email: string): Denial {
  return denial("not_found", `${email} is not locked`);
}
