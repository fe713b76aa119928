import { and, asc, desc, gte, lte, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { type AccessEventBody, MAX_GRANT_MS } from "./access-events.ts";
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
    gte(events.at, from - MAX_GRANT_MS),
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

/** The decision with which access began to hold. */
type ActiveAccess = Extract<AccessDecisionEvent, { readonly type: "access_decision" }>;

/**
 * Finds the decisions with which access began that holds: approved, not over, and not taken back. Each row of
 * the last week is read once, however many they are.
 *
 * @param now ms since the epoch
 * @param which only those about grants of these names; at most so many. Default: all
 * @returns the newest first
 */
export async function findActiveAccess(
  database: D1Database,
  now: number,
  { grants, limit = -1 }: { readonly grants?: readonly string[] | undefined; readonly limit?: number } = {},
): Promise<ActiveAccess[]> {
  // With a single max(), SQLite takes the other columns from its row: the last approval.
  const { results } = await database
    .prepare(
      `SELECT type, max(at) AS at, data
       FROM events
       WHERE type IN ('access_decision', 'access_end') AND at > ?1
         AND (?3 IS NULL OR data ->> '$.grant' IN (SELECT value FROM json_each(?3)))
       GROUP BY data ->> '$.access_id'
       HAVING sum(data ->> '$.until' > ?2) > 0 AND sum(type = 'access_end') = 0
       ORDER BY at DESC LIMIT ?4`,
    )
    .bind(now - MAX_GRANT_MS, now, grants ? JSON.stringify(grants) : null, limit)
    .all<{ type: string; at: number; data: string }>();
  return results.map((row) => parseDecision(row) as ActiveAccess);
}
