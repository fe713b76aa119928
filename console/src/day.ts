/** One day of somebody, in the zone of whoever looks. The address has its ends, so that a link means the same. Pure. */
import { readLocalInput, startOfDay, toAddressTime, toLocalInput } from "./ui/time-range.ts";

export interface Period {
  /** RFC 3339, in UTC. */
  readonly since: string;
  readonly until: string;
}

/** The day of a time, from midnight to midnight: 23 or 25 hours long where clocks change. */
export function dayOf(at: Date): Period {
  return { since: toAddressTime(startOfDay(at, 0)), until: toAddressTime(startOfDay(at, 1)) };
}

/**
 * The day before or after one.
 *
 * @param offset in days
 */
export function dayBeside({ since }: Pick<Period, "since">, offset: number): Period {
  return dayOf(startOfDay(new Date(since), offset));
}

/** The day that a date field names, such as `2026-11-27`. @returns undefined for what is none, or not yet one */
export function dayOfInput(value: string): Period | undefined {
  const at = value.includes("T") ? undefined : readLocalInput(value);
  return at && dayOf(at);
}

/** The date of a period's beginning, as a date field takes it. */
export function inputOf({ since }: Pick<Period, "since">): string {
  return toLocalInput(since).slice(0, "2026-11-27".length);
}

/**
 * The period of an address, or the day of `now`.
 *
 * @param since and `until` of the address; "" where it has none
 */
export function readPeriod(since: string, until: string, now: Date): Period {
  const isPeriod = !Number.isNaN(Date.parse(since)) && !Number.isNaN(Date.parse(until));
  return isPeriod ? { since, until } : dayOf(now);
}

/** Whether a period is one whole day here: a colleague elsewhere may have sent it. */
export function isWholeDay({ since, until }: Period): boolean {
  const day = dayOf(new Date(since));
  return Date.parse(day.since) === Date.parse(since) && Date.parse(day.until) === Date.parse(until);
}
