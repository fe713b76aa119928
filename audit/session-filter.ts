/** Which sessions a list shows, and in which order: the same whether D1 answers or what is live. Pure. */
import type { Outcome } from "./events.ts";
import type { SessionRow } from "./rows.ts";

export interface SessionFilter {
  readonly state: "live" | "ended" | "all";
  readonly user?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly kind?: string;
  readonly cluster?: string;
  /** The rule that allowed it. */
  readonly rule?: string;
  /** Only those that ended so, and so none that is live. */
  readonly outcome?: Outcome;
  /** Whether it has a recording, or is live and recorded. */
  readonly recorded?: boolean;
  /** Started at this time or later, in ms since the epoch. */
  readonly since?: number;
  /** Started before this time, in ms since the epoch. */
  readonly until?: number;
}

/** The filter of a list of what is live. */
export type LiveFilter = Omit<SessionFilter, "state">;

/** Where a page of sessions ended: its last row. */
export interface Position {
  readonly startedAt: number;
  readonly id: string;
}

/** What order and filters look at. */
type Sorted = Pick<SessionRow, "id" | "started_at">;
type Filtered = Pick<
  SessionRow,
  | "state"
  | "user"
  | "namespace"
  | "pod"
  | "kind"
  | "cluster"
  | "rule"
  | "outcome"
  | "recording_mode"
  | "recording"
  | "started_at"
>;

/** Compares sessions by their start, newest first. Their ids decide between equals. */
export function newestFirst(one: Sorted, other: Sorted): number {
  return other.started_at - one.started_at || (one.id < other.id ? 1 : one.id > other.id ? -1 : 0);
}

/** Whether a session comes after the page that ended at a position. */
export function isAfter(row: Sorted, position: Position | undefined): boolean {
  return !position || newestFirst({ id: position.id, started_at: position.startedAt }, row) < 0;
}

export function matchesFilter(row: Filtered, filter: LiveFilter): boolean {
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY, recorded } = filter;
  const hasNames = NAMED.every((name) => filter[name] === undefined || filter[name] === row[name]);
  const isRecorded = recorded === undefined || recorded === hasRecording(row);
  return hasNames && isRecorded && since <= row.started_at && row.started_at < until;
}

const NAMED = ["user", "namespace", "pod", "kind", "cluster", "rule", "outcome"] as const;

function hasRecording({ state, recording_mode, recording }: Filtered): boolean {
  return state === "live" ? recording_mode !== "off" : recording !== null;
}
