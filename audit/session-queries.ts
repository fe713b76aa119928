import { and, asc, desc, eq, gte, isNotNull, lt, ne, not, or, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { NumberedChainedEvent } from "./chain-queries.ts";
import type { SessionRow } from "./rows.ts";
import { events, sessions } from "./schema.ts";
import type { Position, SessionFilter } from "./session-filter.ts";

/**
 * Finds sessions, newest first.
 *
 * @param after where the previous page ended
 */
export async function findSessions(
  database: D1Database,
  filter: SessionFilter,
  limit: number,
  after?: Position,
): Promise<SessionRow[]> {
  const conditions: (SQL | undefined)[] = [
    filter.state === "all" ? undefined : eq(sessions.state, filter.state),
    filter.user === undefined ? undefined : eq(sessions.user, filter.user),
    filter.namespace === undefined ? undefined : eq(sessions.namespace, filter.namespace),
    filter.pod === undefined ? undefined : eq(sessions.pod, filter.pod),
    filter.kind === undefined ? undefined : eq(sessions.kind, filter.kind),
    filter.cluster === undefined ? undefined : eq(sessions.cluster, filter.cluster),
    filter.rule === undefined ? undefined : eq(sessions.rule, filter.rule),
    filter.outcome === undefined ? undefined : eq(sessions.outcome, filter.outcome),
    filter.recorded === undefined ? undefined : isRecorded(filter.recorded),
    filter.since === undefined ? undefined : gte(sessions.started_at, filter.since),
    filter.until === undefined ? undefined : lt(sessions.started_at, filter.until),
    after &&
      or(
        lt(sessions.started_at, after.startedAt),
        and(eq(sessions.started_at, after.startedAt), lt(sessions.id, after.id)),
      ),
  ];
  return drizzle(database)
    .select()
    .from(sessions)
    .where(and(...conditions))
    .orderBy(desc(sessions.started_at), desc(sessions.id))
    .limit(limit);
}

/** As `matchesFilter` has it. */
function isRecorded(recorded: boolean): SQL | undefined {
  const live = and(eq(sessions.state, "live"), ne(sessions.recording_mode, "off"));
  const recordedOnes = or(isNotNull(sessions.recording), live);
  return recorded || !recordedOnes ? recordedOnes : not(recordedOnes);
}

/** Finds out which of some sessions are over. */
export async function findEnded(database: D1Database, ids: readonly string[]): Promise<string[]> {
  // One bound value for all: D1 binds at most 100.
  const { results } = await database
    .prepare("SELECT session_id FROM events WHERE type = 'end' AND session_id IN (SELECT value FROM json_each(?))")
    .bind(JSON.stringify(ids))
    .all<{ session_id: string }>();
  return results.map(({ session_id }) => session_id);
}

/** Finds one session, whether live or ended. */
export async function findSession(database: D1Database, id: string): Promise<SessionRow | undefined> {
  const rows = await drizzle(database).select().from(sessions).where(eq(sessions.id, id)).limit(1);
  return rows[0];
}

/** Finds the events of a session, in order, as they were hashed. Empty for an unknown id. */
export async function findEvents(database: D1Database, sessionId: string): Promise<NumberedChainedEvent[]> {
  return drizzle(database).select().from(events).where(eq(events.session_id, sessionId)).orderBy(asc(events.seq));
}
