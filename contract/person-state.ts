/**
 * What holds for a person at every cluster: decided in the person's object without a location hint, copied to
 * the others, and asked for by the edge before each API request.
 */
import * as z from "zod";
import type { UserLock } from "../audit/events.ts";
import { accessRequestSchema, activeGrantSchema } from "./access.ts";
import { type Denial, denial } from "./denial.ts";

const text = z.string();
const name = text.min(1);
/** Since the epoch. */
const milliseconds = z.number();

const lockSchema = z
  .strictObject({ user: name, by: name, reason: text, until: milliseconds.nullable() })
  .readonly() satisfies z.ZodType<UserLock>;

const stateFields = z.strictObject({
  /** Grows with each decision; 0 before the first. Of two states of a person, the one with more counts. */
  version: z.int().nonnegative(),
  /** The last lock, whether it still holds or not; see `currentLock`. */
  lock: lockSchema.nullable(),
});

/** What the edge needs to know. */
export const personStateSchema = stateFields
  .extend({
    /** Those that hold, by the object's clock. Each also ends by time. */
    grants: z.array(activeGrantSchema).readonly(),
  })
  .readonly();
export type PersonState = z.output<typeof personStateSchema>;

/** What the person's other objects need to know. */
export const copiedStateSchema = stateFields
  .extend({
    accessReason: z.strictObject({ reason: name, until: milliseconds }).readonly().nullable(),
    /** Those that wait for a decision, that hold, and that ended lately: a session may wait for one. */
    access: z.array(accessRequestSchema).readonly(),
  })
  .readonly();
export type CopiedState = z.output<typeof copiedStateSchema>;

/**
 * The lock if it holds at `now`.
 *
 * @param now ms since the epoch
 */
export function currentLock(lock: UserLock | null | undefined, now: number): UserLock | undefined {
  return lock && (lock.until === null || now < lock.until) ? lock : undefined;
}

/** Why a locked person is refused everything: the edge says it of requests, the object of sessions. */
export function denyLocked({ user, by, reason, until }: UserLock): Denial {
  const when = until === null ? "" : ` until ${new Date(until).toISOString()}`;
  return denial("user_locked", `${user} is locked${when} by ${by}, and administrators can lift it: ${reason}`);
}
