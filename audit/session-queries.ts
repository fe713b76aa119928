import { and, asc, desc, eq, gte, lt, or, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { SessionEvent } from "./events.ts";
import type { SessionRow } from "./rows.ts";
import { events, sessions } from "./schema.ts";

export interface SessionFilter {
  readonly state: "live" | "ended" | "all";
  readonly user?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly kind?: string;
  /** Started at this time or later, in ms since the epoch. */
  readonly since?: number;
  /** Started before this time, in ms since the epoch. */
  readonly until?: number;
}

/** Where a page of sessions ended: its last row. */
export interface Position {
  readonly startedAt: number;
  readonly id: string;
}

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

/** Finds one session, whether live or ended. */
export async function findSession(database: D1Database, id: string): Promise<SessionRow | undefined> {
  const rows = await drizzle(database).select().from(sessions).where(eq(sessions.id, id)).limit(1);
  return rows[0];
}

/** Finds the events of a session, in order. Empty for an unknown id. */
export async function findEvents(database: D1Database, sessionId: string): Promise<SessionEvent[]> {
  const rows = await drizzle(database)
    .select()
    .from(events)
    .where(eq(events.session_id, sessionId))
    .orderBy(asc(events.seq));
  return rows.map(({ session_id, seq, at, type, data }) => ({
    ...({ type, data: JSON.parse(data), session_id, seq, at } as SessionEvent),
  }));
}
