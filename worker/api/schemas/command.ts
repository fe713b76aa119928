/** The parameters of administrators' commands. They may be in the query or in the body; the body wins. */
import * as z from "zod";
import { reason } from "./shared.ts";

const MAX_MINUTES = 366 * 24 * 60;
const MINUTES_ERROR = `must be a number above 0, at most ${MAX_MINUTES}`;
const MINUTES_MEANING = "For how many minutes. Without it, until the lock is lifted.";

const shownReason = reason.describe("Why; the session's user reads it.");

/** Not strict: clients may send DeleteOptions with a DELETE, and nothing but the reason matters. */
export const commandQuery = z.object({ reason: shownReason.exactOptional() });

export const commandBody = {
  schema: z.object({ reason: shownReason.exactOptional() }),
  example: { reason: "wrong cluster" },
};

export const lockQuery = z.strictObject({
  reason: shownReason.exactOptional(),
  minutes: z.coerce
    .number(MINUTES_ERROR)
    .gt(0, MINUTES_ERROR)
    .max(MAX_MINUTES, MINUTES_ERROR)
    .exactOptional()
    .describe(MINUTES_MEANING),
});

export const lockBody = {
  schema: z.strictObject({
    reason: shownReason.exactOptional(),
    minutes: z.coerce
      .number(MINUTES_ERROR)
      .gt(0, MINUTES_ERROR)
      .max(MAX_MINUTES, MINUTES_ERROR)
      .exactOptional()
      .describe(MINUTES_MEANING),
  }),
  example: { reason: "stolen laptop", minutes: 60 },
};

/** The sessions that a command ended. */
export const endedIds = z.array(z.string()).describe("Ids of the sessions that this ended.");

export const endedAnswer = z
  .strictObject({ ended: endedIds })
  .meta({ id: "EndedSessions", description: "What a command ended." });

/**
 * Joins the two places of a command's parameters. An empty reason counts as none.
 *
 * @param none what stands for a missing reason
 */
export function readReason(
  query: { readonly reason?: string },
  body: { readonly reason?: string },
  none = "no reason given",
): string {
  return (body.reason ?? query.reason) || none;
}
