/** What the charts of an answer show. The table beside them has the same as text. Pure. */
import type { QuestionAnswer } from "../api/endpoints.ts";
import { startOfDay } from "../ui/time-range.ts";
import { kindOf, readTime } from "./columns.ts";

export interface Bar {
  readonly label: string;
  readonly value: number;
}

/** More do not help. */
const MAX_BARS = 15;

/** The columns that a question charts, as bars: the largest, in the order of the answer. */
export function barsOf({ columns, rows, chart }: Pick<QuestionAnswer, "columns" | "rows" | "chart">): readonly Bar[] {
  if (chart === null) return [];
  const [label, value] = [columns.indexOf(chart.label), columns.indexOf(chart.value)];
  const sums = new Map<string, number>();
  for (const row of rows) {
    const [name, number] = [row[label], row[value]];
    if (typeof number !== "number" || number < 0) continue;
    const text = String(name ?? "–");
    sums.set(text, (sums.get(text) ?? 0) + number);
  }
  const bars = [...sums].filter(([, sum]) => sum > 0).map(([text, sum]): Bar => ({ label: text, value: sum }));
  const largest = new Set(bars.toSorted((one, other) => other.value - one.value).slice(0, MAX_BARS));
  return bars.filter((bar) => largest.has(bar));
}

export interface Histogram {
  readonly step: "hour" | "day";
  /** Each hour or day of the reader's zone, from the first to the last, those without rows included. */
  readonly buckets: readonly { readonly from: Date; readonly count: number }[];
}

const HOUR_MS = 3_600_000;
/** Up to this, ms, hours are shown, and days beyond it. */
const MAX_HOURLY_MS = 72 * HOUR_MS;
/** A question is about 100 days at most. Times of others may be further apart. */
const MAX_BUCKETS = 150;

/**
 * Where a question charts nothing itself: how many rows each hour or day has. Undefined where that says nothing,
 * and where the answer is cut: the rows that it lacks would look like none.
 */
export function histogramOf({
  columns,
  rows,
  values,
  complete,
}: Pick<QuestionAnswer, "columns" | "rows" | "values" | "complete">): Histogram | undefined {
  if (!complete) return undefined;
  const column = columns.findIndex((name) => kindOf(name) === "time");
  if (column === -1) return undefined;
  const times = rows.map((row) => readTime(row[column], values["zone"])).filter((at) => at !== undefined);
  if (times.length === 0) return undefined;
  const bounds = [values["since"], values["until"]].map((bound) => Date.parse(String(bound)));
  const known = [...times, ...times.map((at) => at + 1), ...bounds.filter((at) => !Number.isNaN(at))];
  const [first, end] = [Math.min(...known), Math.max(...known)];
  const step = end - first <= MAX_HOURLY_MS ? "hour" : "day";
  const starts = startsOf(first, end, step);
  if (starts.length > MAX_BUCKETS) return undefined;
  const counts = new Map<number, number>();
  for (const at of times) {
    const start = startOf(at, step).getTime();
    counts.set(start, (counts.get(start) ?? 0) + 1);
  }
  // One column says no more than its rows.
  if (counts.size < 2) return undefined;
  return { step, buckets: starts.map((from) => ({ from, count: counts.get(from.getTime()) ?? 0 })) };
}

/** @param end not included, as in questions */
function startsOf(first: number, end: number, step: Histogram["step"]): Date[] {
  const starts: Date[] = [];
  let start = startOf(first, step);
  while (start.getTime() < end && starts.length <= MAX_BUCKETS) {
    starts.push(start);
    // By the calendar: days are not all of one length.
    start = step === "day" ? startOfDay(start, 1) : startOf(start.getTime() + HOUR_MS, "hour");
  }
  return starts;
}

function startOf(at: number, step: Histogram["step"]): Date {
  const date = new Date(at);
  if (step === "day") return startOfDay(date, 0);
  // Zones may be off by half an hour, but not within an hour of their own.
  return new Date(at - (date.getMinutes() * 60 + date.getSeconds()) * 1_000 - date.getMilliseconds());
}
