/**
 * The drain switch: while it is on, new sessions are refused everywhere. Live sessions and API requests go
 * on.
 *
 * It is held in the directory object, and isolates of the edge ask for it. It is for maintenance and keeps
 * nobody out: for that there are locks.
 */
import * as z from "zod";
import type { DrainCommand } from "../audit/events.ts";

/** The longest drain, ms: a longer one was mistyped, or would be forgotten. */
export const MAX_DRAIN_MS = 24 * 60 * 60 * 1_000;

const text = z.string();
/** Since the epoch. */
const milliseconds = z.int();

export const drainSchema = z
  .strictObject({
    /** The administrator. */
    by: text.min(1),
    reason: text,
    /** When it was switched on. */
    since: milliseconds,
    /** When sessions open again by themselves. */
    until: milliseconds,
  })
  .readonly() satisfies z.ZodType<DrainCommand>;
export type Drain = z.output<typeof drainSchema>;

/**
 * The drain if it is on at `now`.
 *
 * @param now ms since the epoch
 */
export function currentDrain<D extends DrainCommand>(drain: D | null | undefined, now: number): D | undefined {
  return drain && now < drain.until ? drain : undefined;
}
