import { and, desc, eq, gte, isNull, lt, ne, or, type SQL } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { Category, DECISIONS, RequestOutcome } from "./request-categories.ts";
import type { RequestRow } from "./rows.ts";
import { requests } from "./schema.ts";

export interface RequestFilter {
  readonly user?: string | undefined;
  readonly cluster?: string | undefined;
  readonly verb?: string | undefined;
  readonly resource?: string | undefined;
  readonly subresource?: string | undefined;
  readonly name?: string | undefined;
  readonly rule?: string | undefined;
  /** The code of Sallyport's refusal. */
  readonly refusal?: string | undefined;
  readonly outcome?: RequestOutcome | undefined;
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
  { since, until, outcome, ...named }: RequestFilter,
  limit: number,
  before?: string,
): Promise<RequestRow[]> {
  // An id begins with the time, so one index serves the order and the time range.
  const conditions = [
    ...EQUAL.map((name) => (named[name] === undefined ? undefined : eq(requests[name], named[name]))),
    outcome === undefined ? undefined : isOutcome(outcome),
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

const EQUAL = [
  ...(["user", "category", "decision", "cluster", "namespace", "verb", "resource", "subresource", "name"] as const),
  ...(["rule", "refusal"] as const),
];

function isOutcome(outcome: RequestOutcome): SQL | undefined {
  const { decision, status } = requests;
  // Rows of before there were decisions have none.
  const wasAllowed = or(isNull(decision), ne(decision, "refused"));
  switch (outcome) {
    case "succeeded":
      return and(wasAllowed, lt(status, 400));
    case "failed":
      return and(wasAllowed, gte(status, 400), ne(status, 403));
    case "forbidden":
      return and(wasAllowed, eq(status, 403));
    case "refused":
      return eq(decision, "refused");
    case "unknown":
      return and(wasAllowed, isNull(status));
  }
}
