import type { ShownSession } from "./merge-live.ts";
import { writeSessionCursor } from "./schemas/session-cursor.ts";
import { sessionJson } from "./session-json.ts";

/**
 * One page of a list of sessions.
 *
 * @param rows in order; more than `limit` if there is a next page
 */
export function pageOf(rows: readonly ShownSession[], limit: number) {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const next = rows.length > limit && last ? writeSessionCursor({ startedAt: last.started_at, id: last.id }) : null;
  return { items: items.map(sessionJson), next };
}
