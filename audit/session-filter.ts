/** Which sessions a list shows, and in which order: the same whether D1 answers or what is live. Pure. */
import type { SessionRow } from "./rows.ts";

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

/** The filter of a list of what is live. */
type LiveFilter = Omit<SessionFilter, "state">;

/** Where a page of sessions ended: its last row. */
export interface Position {
  readonly startedAt: number;
  readonly id: string;
}

/** What order and filters look at. */
type Sorted = Pick<SessionRow, "id" | "started_at">;
type Filtered = Pick<SessionRow, "user" | "namespace" | "pod" | "kind" | "started_at">;

/** Compares sessions by their start, newest first. Their ids decide between equals. */
export function newestFirst(one: Sorted, other: Sorted): number {
  return other.started_at - one.started_at || (one.id < other.id ? 1 : one.id > other.id ? -1 : 0);
}

/** Whether a session comes after the page that ended at a position. */
export function isAfter(row: Sorted, position: Position | undefined): boolean {
  return !position || newestFirst({ id: position.id, started_at: position.startedAt }, row) < 0;
}

export function matchesFilter(row: Filtered, filter: LiveFilter): boolean {
  const { user = row.user, namespace = row.namespace, pod = row.pod, kind = row.kind } = filter;
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = filter;
  const isNamed = row.user === user && row.namespace === namespace && row.pod === pod && row.kind === kind;
  return isNamed && since <= row.started_at && row.started_at < until;
}
