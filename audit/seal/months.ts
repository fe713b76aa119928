/** Months of UTC, written `2026-11`: they compare as texts. */

export type Month = string;

/** What `audit.seal.keepMonths` accepts. */
export const KEEP_MONTHS = { least: 1, most: 120 } as const;

/**
 * A row is sealed once its month is over, or a day later if nobody does anything. The rest is for outages.
 * Objects of its range may have been written as early as the row.
 */
export const MAX_UNSEALED_DAYS = 31 + 7;

/**
 * @param at milliseconds since the epoch; a time outside of the years 1970 to 9999 counts as the nearest in
 *   them
 */
export function monthOf(at: number): Month {
  const date = new Date(Math.min(Math.max(at, 0), Date.UTC(9999, 11, 31)));
  return date.toISOString().slice(0, 7);
}

export function monthAfter(month: Month): Month {
  return monthOf(endOfMonth(month));
}

export function laterMonth(one: Month, other: Month): Month {
  return endOfMonth(one) > endOfMonth(other) ? one : other;
}

/** @returns the first millisecond after the month */
export function endOfMonth(month: Month): number {
  const [year, number] = month.split("-").map(Number);
  // Date's months begin with 0, so this is the first day of the next one.
  return Date.UTC(year ?? Number.NaN, number ?? Number.NaN, 1);
}

/**
 * The same day and time so many months earlier; the last day of that month where it has no such day.
 *
 * @param at milliseconds since the epoch
 */
export function monthsBefore(at: number, months: number): number {
  const date = new Date(at);
  const day = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() - months);
  const daysInMonth = new Date(endOfMonth(monthOf(date.getTime())) - 1).getUTCDate();
  date.setUTCDate(Math.min(day, daysInMonth));
  return date.getTime();
}
