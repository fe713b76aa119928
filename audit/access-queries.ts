import { and, asc, desc, gte, lte, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { AccessEventBody } from "./access-events.ts";
import { events } from "./schema.ts";

/** A decision about a request for access, or the end of one. */
export type AccessDecisionEvent = Exclude<AccessEventBody, { readonly type: "access_request" }> & {
  /** ms since the epoch */
  readonly at: number;
};

/** As the partial index has it: for values that are bound, SQLite would not use it. */
const OF_DECISIONS = sql`type IN ('access_decision', 'access_end')`;

/**
 * Finds decisions about requests for access, newest first.
 *
 * @param grants only those about grants of these names; undefined for all
 */
export async function findAccessDecisions(
  database: D1Database,
  grants: readonly string[] | undefined,
  limit: number,
): Promise<AccessDecisionEvent[]> {
  const conditions: (SQL | undefined)[] = [
    OF_DECISIONS,
    // One bound value for all: D1 binds at most 100.
    grants && sql`data ->> '$.grant' IN (SELECT value FROM json_each(${JSON.stringify(grants)}))`,
  ];
  const rows = await drizzle(database)
    .select({ type: events.type, at: events.at, data: events.data })
    .from(events)
    .where(and(...conditions))
    .orderBy(desc(events.at))
    .limit(limit);
  return rows.map(parseDecision);
}

/** How long before a session somebody may have decided about its grants: none holds for longer. */
const DECIDED_BEFORE_MS = 7 * 24 * 60 * 60 * 1_000;
const MAX_DECISIONS = 100;

/**
 * Finds what was decided about grants that a session ran with, oldest first.
 *
 * @param session its user, the names of its grants, and when it began and ended, ms since the epoch
 */
export async function findDecisionsAbout(
  database: D1Database,
  session: {
    readonly user: string;
    readonly grants: readonly string[];
    readonly from: number;
    readonly to: number | null;
  },
): Promise<AccessDecisionEvent[]> {
  const { user, grants, from, to } = session;
  const conditions: (SQL | undefined)[] = [
    OF_DECISIONS,
    gte(events.at, from - DECIDED_BEFORE_MS),
    to === null ? undefined : lte(events.at, to),
    sql`data ->> '$.user' = ${user}`,
    sql`data ->> '$.grant' IN (SELECT value FROM json_each(${JSON.stringify(grants)}))`,
  ];
  const rows = await drizzle(database)
    .select({ type: events.type, at: events.at, data: events.data })
    .from(events)
    .where(and(...conditions))
    .orderBy(asc(events.at))
    .limit(MAX_DECISIONS);
  return rows.map(parseDecision);
}

function parseDecision({ type, at, data }: { readonly type: string; readonly at: number; readonly data: string }) {
  return { type, at, data: JSON.parse(data) } as AccessDecisionEvent;
}

/** A grant ends at most so long after the decision that it began with. */
const ACTIVE_FOR_MS = DECIDED_BEFORE_MS;

/**
 * Finds the decisions with which grants began that hold, newest first.
 *
 * @param grants only those of these names; undefined for all
 * @param now ms since the epoch
 */
export async function findActiveGrants(
  database: D1Database,
  grants: readonly string[] | undefined,
  now: number,
): Promise<AccessDecisionEvent[]> {
  const ended = sql`SELECT 1 FROM events AS later WHERE later.type IN ('access_decision', 'access_end')
    AND later.at >= events.at AND later.type = 'access_end'
    AND later.data ->> '$.access_id' = events.data ->> '$.access_id'`;
  const conditions: (SQL | undefined)[] = [
    OF_DECISIONS,
    gte(events.at, now - ACTIVE_FOR_MS),
    sql`data ->> '$.until' > ${now}`,
    grants && sql`data ->> '$.grant' IN (SELECT value FROM json_each(${JSON.stringify(grants)}))`,
    sql`NOT EXISTS (${ended})`,
  ];
  const rows = await drizzle(database)
    .select({ type: events.type, at: events.at, data: events.data })
    .from(events)
    .where(and(...conditions))
    .orderBy(desc(events.at))
    .limit(MAX_ACTIVE);
  return rows.map(parseDecision);
}

const MAX_ACTIVE = 500;

/** Access that holds, as far as the audit log knows. */
export interface ActiveAccess {
  readonly id: string;
  readonly user: string;
  readonly grant: string;
  /** ms since the epoch */
  readonly since: number;
}

/**
 * Finds all grants that hold: approved, not over, and not taken back. Each row is read once, however many
 * they are.
 *
 * @param now ms since the epoch
 * @param maxAgeMs how long a grant lasts at most: older events are not read
 * @returns the oldest first
 */
export async function findActiveAccess(database: D1Database, now: number, maxAgeMs: number): Promise<ActiveAccess[]> {
  const { results } = await database
    .prepare(
      `SELECT data ->> '$.access_id' AS id, min(data ->> '$.user') AS user, min(data ->> '$.grant') AS grant,
         max(at) AS since
       FROM events WHERE type IN ('access_decision', 'access_end') AND at > ?
       GROUP BY id HAVING max(data ->> '$.until') > ? AND sum(type = 'access_end') = 0
       ORDER BY since`,
    )
    .bind(now - maxAgeMs, now)
    .all<ActiveAccess>();
  return results;
}
