import { and, desc, type SQL, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { AccessEventBody } from "./access-events.ts";
import { events } from "./schema.ts";

/** A decision about a request for access, or the end of one. */
export type AccessDecisionEvent = Exclude<AccessEventBody, { readonly type: "access_request" }> & {
  /** ms since the epoch */
  readonly at: number;
};

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
    // As the partial index has it: for values that are bound, SQLite would not use it.
    sql`type IN ('access_decision', 'access_end')`,
    // One bound value for all: D1 binds at most 100.
    grants && sql`data ->> '$.grant' IN (SELECT value FROM json_each(${JSON.stringify(grants)}))`,
  ];
  const rows = await drizzle(database)
    .select({ type: events.type, at: events.at, data: events.data })
    .from(events)
    .where(and(...conditions))
    .orderBy(desc(events.at))
    .limit(limit);
  return rows.map(({ type, at, data }) => ({ type, at, data: JSON.parse(data) }) as AccessDecisionEvent);
}
