/** Joins what D1 has of sessions with what the directory knows of those that are live. Pure. */
import type { SessionRow } from "../../audit/rows.ts";
import { newestFirst } from "../../audit/session-filter.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";

/** A session as the API shows it: only for a live one is the last use known, and what it waits for. */
export type ShownSession = SessionRow & Partial<Pick<LiveSessionRow, "active_at" | "waits_for">>;

/**
 * D1 wins about what it has: the directory cuts long rows, and hears of an end a moment later. Of a live
 * session the directory has the current counts, and of one that D1 has not heard of yet, everything.
 *
 * @param rows of D1, in order
 * @param live of the directory, of the same page
 * @param ended ids of sessions that D1 knows to be over, though they are not among `rows`
 * @returns in order; more than `rows`, so callers cut the page
 */
export function mergeLive(
  rows: readonly SessionRow[],
  live: readonly LiveSessionRow[],
  ended: readonly string[],
): ShownSession[] {
  const unlisted = new Map(live.map((session) => [session.id, session]));
  for (const id of ended) unlisted.delete(id);
  const merged = rows.map((row): ShownSession => {
    const current = unlisted.get(row.id);
    unlisted.delete(row.id);
    if (!current || row.state === "ended") return row;
    const { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out } = current;
    return { ...row, active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out };
  });
  return [...merged, ...unlisted.values()].sort(newestFirst);
}
