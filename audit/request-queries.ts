import { and, desc, eq, gte, lt } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { Category, DECISIONS } from "./request-categories.ts";
import type { RequestRow } from "./rows.ts";
import { requests } from "./schema.ts";

export interface RequestFilter {
  readonly user?: string | undefined;
  readonly category?: Category | undefined;
  readonly decision?: (typeof DECISIONS)[number] | undefined;
  readonly namespace?: string | undefined;
  /** At this time or later, in ms since the epoch. */
  readonly since?: number | undefined;
  /** Before this time, in ms since the epoch. */
  readonly until?: number | undefined;
}

/**
 * Finds API requests, newest first.
 *
 * @param before id of the last row of the previous page
 */
export async function findRequests(
  database: D1Database,
  { user, category, decision, namespace, since, until }: RequestFilter,
  limit: number,
  before?: string,
): Promise<RequestRow[]> {
  // An id begins with the time, so one index serves the order and the time range.
  const conditions = [
    user === undefined ? undefined : eq(requests.user, user),
    category === undefined ? undefined : eq(requests.category, category),
    decision === undefined ? undefined : eq(requests.decision, decision),
    namespace === undefined ? undefined : eq(requests.namespace, namespace),
    since === undefined ? undefined : gte(requests.id, new Date(since).toISOString()),
    until === undefined ? undefined : lt(requests.id, new Date(until).toISOString()),
    before === undefined ? undefined : lt(requests.id, before),
  ];
  return drizzle(database)
    .select()
    .from(requests)
    .where(and(...conditions))
    .orderBy(desc(requests.id))
    .limit(limit);
}
