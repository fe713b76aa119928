/**
 * Which rows belong to a range, and what a run does next. Pure.
 *
 * A range ends before the first row of a later month, or with the part in which it reaches 1 GB, whichever
 * comes first. Rows are taken in the order of their numbers, which is the order of arrival. A row that
 * arrives late, as after an outage, therefore belongs to the range that is open when it comes, whatever its
 * own time. The cut depends on rows alone, which never change. So every run, and each of two concurrent ones,
 * makes the same cut, whenever it looks.
 */
import { endOfMonth, laterMonth, type Month, monthAfter, monthOf } from "./months.ts";

export interface SealLimits {
  /** A part is one object. D1 answers a page in one query, and an isolate has 128 MB. */
  readonly maxPartRows: number;
  /** Characters of a part's lines. The page that reaches the limit is still in the part. */
  readonly maxPartChars: number;
  /** Bytes of a range's lines. The part that reaches the limit is still in the range. */
  readonly maxRangeBytes: number;
  /** How long after the end of its month a range waits for the first row of the next month. */
  readonly idleMs: number;
}

export const SEAL_LIMITS: SealLimits = {
  maxPartRows: 20_000,
  maxPartChars: 32 * 1024 * 1024,
  maxRangeBytes: 1_000_000_000,
  idleMs: 24 * 60 * 60_000,
};

export const CLOSED_BY = ["month", "size"] as const;
/** Why a range ended. */
export type ClosedBy = (typeof CLOSED_BY)[number];

/** What the database says about the open range. */
export interface OpenRange {
  /** The seal before it, or null for the first range. */
  readonly previous: { readonly month: Month; readonly closedBy: ClosedBy } | null;
  /** Number of its first row. */
  readonly firstRow: number;
  /** Time of its first row, or null while it has none. */
  readonly firstAt: number | null;
  /** How many parts are written, the bytes of their lines, and the last row that they cover. */
  readonly parts: number;
  readonly textBytes: number;
  /** `firstRow - 1` before the first part. */
  readonly writtenTo: number;
  /**
   * The first row after these parts, or null when none has come. It is `writtenTo + 1`, unless somebody who
   * may change the schema has deleted rows.
   */
  readonly nextRow: number | null;
  /** The newest row of the table, or 0. */
  readonly newestRow: number;
}

export type SealStep =
  | { readonly kind: "wait" }
  /** Write a part from this row to this one, or to an earlier one where the part is full. */
  | { readonly kind: "part"; readonly firstRow: number; readonly lastRow: number }
  | { readonly kind: "close"; readonly month: Month; readonly closedBy: ClosedBy };

/**
 * The month of the open range: that of its first row, and never one that is already sealed.
 *
 * @param now milliseconds since the epoch; a row from the future, of a wrong clock, counts as of now
 */
export function monthOfRange({ previous, firstAt }: OpenRange, now: number): Month {
  const own = monthOf(Math.min(firstAt ?? now, now));
  if (!previous) return own;
  const least = previous.closedBy === "month" ? monthAfter(previous.month) : previous.month;
  return laterMonth(own, least);
}

/**
 * @param findLater finds the first row that belongs to a later month: with a number from `from` to `to` and a
 *   time from `since` to now. It is asked only once the month is over.
 */
export async function nextStep(
  range: OpenRange,
  now: number,
  findLater: (bounds: { from: number; to: number; since: number }) => Promise<number | null>,
  limits: SealLimits = SEAL_LIMITS,
): Promise<SealStep> {
  const month = monthOfRange(range, now);
  if (range.parts > 0 && range.textBytes >= limits.maxRangeBytes) return { kind: "close", month, closedBy: "size" };
  const monthEnd = endOfMonth(month);
  const isIdle = now >= monthEnd + limits.idleMs;
  const { writtenTo, nextRow, newestRow } = range;
  const part = (lastRow: number): SealStep => ({ kind: "part", firstRow: writtenTo + 1, lastRow });
  if (nextRow === null)
    return range.parts > 0 && isIdle ? { kind: "close", month, closedBy: "month" } : { kind: "wait" };
  const fullRow = nextRow + limits.maxPartRows - 1;
  const later =
    now < monthEnd ? null : await findLater({ from: nextRow, to: Math.min(fullRow, newestRow), since: monthEnd });
  if (later === nextRow && range.parts > 0) return { kind: "close", month, closedBy: "month" };
  if (later !== null && later > nextRow) return part(later - 1);
  if (fullRow <= newestRow || isIdle) return part(Math.min(fullRow, newestRow));
  return { kind: "wait" };
}
