/** Points in time in addresses and in fields, and the ranges that people ask for most. Pure. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Range {
  readonly label: string;
  /** Its beginning, and its end where that is not now. */
  readonly range: (now: Date) => readonly [Date, Date | undefined];
}

/** The address gets the times, so that a link means the same tomorrow. */
export const RANGES: readonly Range[] = [
  { label: "Last hour", range: (now) => [new Date(now.getTime() - HOUR_MS), undefined] },
  { label: "Today", range: (now) => [startOfDay(now, 0), undefined] },
  { label: "Yesterday", range: (now) => [startOfDay(now, -1), startOfDay(now, 0)] },
  { label: "Last 7 days", range: (now) => [new Date(now.getTime() - 7 * DAY_MS), undefined] },
  { label: "Last 30 days", range: (now) => [new Date(now.getTime() - 30 * DAY_MS), undefined] },
];

/**
 * The beginning of a day in the reader's zone.
 *
 * @param offset days after that of `now`
 */
export function startOfDay(now: Date, offset: number): Date {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + offset);
}

/** A time for the address, to the second, as people read it there. "" for none. */
export function toAddressTime(date: Date | undefined): string {
  return date === undefined ? "" : date.toISOString().replace(/\.\d+Z$/, "Z");
}

/** Chrome tells of a change at each digit of a year that is typed: at first 2026 is the year 2, then 20 and 202. */
const EARLIEST_YEAR = 2000;

/**
 * The reader's time that a `datetime-local` field has, or midnight of the date that a date field has.
 *
 * @returns undefined for what is no time, or not yet one
 */
export function readLocalInput(text: string): Date | undefined {
  const [, date = "", time = "00:00"] = /^(\d{4}-\d\d-\d\d)(?:T([\d:.]+))?$/.exec(text) ?? [];
  // Without its time, JavaScript takes a date for one of UTC.
  const at = new Date(`${date}T${time}`);
  return Number.isNaN(at.getTime()) || at.getFullYear() < EARLIEST_YEAR ? undefined : at;
}

/** @returns what `<input type="datetime-local">` takes: the reader's time without a zone; "" for no time */
export function toLocalInput(address: string): string {
  const at = Date.parse(address);
  if (Number.isNaN(at)) return "";
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
