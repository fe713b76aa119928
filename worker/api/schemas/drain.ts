/** The drain switch, as the routes of `/-/admin/drain` take and answer it. */
import * as z from "zod";
import { reason, time, timeParameter } from "./shared.ts";

const shownReason = reason.describe("Why; whoever is refused a session reads it.");
const until = timeParameter.describe(
  "When sessions open again by themselves, at most 24 hours from now. Without it, in an hour.",
);

export const drainQuery = z.strictObject({ reason: shownReason.exactOptional(), until: until.exactOptional() });

export const drainBody = {
  schema: z.strictObject({ reason: shownReason.exactOptional(), until: until.exactOptional() }),
  example: { reason: "upgrade to 0.2", until: "2026-11-17T10:00:00Z" },
};

export const drain = z
  .strictObject({
    draining: z.boolean().describe("Whether new sessions are refused."),
    by: z.string().nullable().describe("The administrator who began it. Null: they are not refused."),
    reason: z.string().nullable().describe("Why."),
    since: time.nullable().describe("Since when."),
    until: time.nullable().describe("When sessions open again by themselves."),
  })
  .meta({ id: "Drain", description: "Whether new sessions are refused everywhere." });

export const endedDrain = z
  .strictObject({
    draining: z.literal(false).describe("Whether new sessions are refused."),
    wasDraining: z.boolean().describe("Whether they were until now."),
  })
  .meta({ id: "EndedDrain", description: "Sessions open again." });
