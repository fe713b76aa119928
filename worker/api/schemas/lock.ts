/** Locks, as the routes under `/-/admin/locks/` answer. */
import * as z from "zod";
import { endedIds } from "./command.ts";
import { notReached, time } from "./shared.ts";

const lockFields = {
  user: z.string().describe("The locked user, in lower case."),
  locked: z.literal(true).describe("Whether a lock holds."),
  by: z.string().describe("The administrator who set the lock."),
  reason: z.string().describe("Why."),
  until: time.nullable().describe("When the lock ends. Null: when it is lifted."),
  notReached,
};

export const lock = z.strictObject(lockFields).meta({ id: "Lock", description: "A lock that holds." });

export const newLock = z
  .strictObject({ ...lockFields, ended: endedIds })
  .meta({ id: "NewLock", description: "A lock that was just set." });

export const liftedLock = z
  .strictObject({
    user: z.string().describe("The user, in lower case."),
    locked: z.literal(false).describe("Whether a lock holds."),
    notReached,
  })
  .meta({ id: "LiftedLock", description: "A lock that was just lifted." });
