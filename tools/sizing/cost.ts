/** From what happens to what it costs, line by line. Pure. */
import { ASSUMPTIONS as A, HABITS, type Habit } from "./assumptions.ts";
import {
  ALARMS_PER_SECOND,
  CHECKPOINTS_PER_SECOND,
  CHUNKS_PER_SECOND,
  D1_BYTES,
  d1RowsOfEvent,
  d1RowsOfRequest,
  OBJECT_ROWS,
  objectRowsOfSession,
  r2Writes,
} from "./facts.ts";
import { FREE_SEATS, PRICES, type PriceId } from "./prices.ts";
import type { Day } from "./simulate.ts";

/** So much of something, and how it comes about. */
export interface Quantity {
  readonly id: PriceId;
  readonly amount: number;
  readonly arithmetic: string;
}

export interface CostLine extends Quantity {
  readonly usd: number;
}

/** An object's memory as it is billed. */
const OBJECT_GB = 0.128;
const GB = 1e9;

/** D1 rows and bytes of sessions with their events, and of requests on record. */
export function d1Growth(sessions: number, forwards: number, refused: number, requests: number) {
  const of = (type: keyof typeof D1_BYTES, count: number, rows: number) => ({
    rows: rows * count,
    bytes: D1_BYTES[type] * count,
  });
  const parts = [
    of("start", sessions + refused, d1RowsOfEvent("start")),
    of("connect", sessions, d1RowsOfEvent("connect")),
    of("forward", forwards, d1RowsOfEvent("forward")),
    of("end", sessions + refused, d1RowsOfEvent("end")),
    of("request", requests, d1RowsOfRequest()),
  ];
  return {
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** Everything that a month like this day makes, with a record and recordings kept for `A.retentionMonths`. */
export function monthOf(day: Day): Quantity[] {
  const days = A.workdaysPerMonth;
  const { sessions, refused, forwards, events, recordings, chunks, objectSeconds, sessionSeconds, messages } = day;
  const { requests, requestsOnRecord, scale } = day;
  const growth = d1Growth(sessions, forwards, refused, requestsOnRecord);
  const alarms = objectSeconds * ALARMS_PER_SECOND;
  const rows = [
    events * OBJECT_ROWS.event +
      sessions * (OBJECT_ROWS.start + OBJECT_ROWS.end) +
      (events - 2 * sessions) * OBJECT_ROWS.between,
    sessionSeconds * CHECKPOINTS_PER_SECOND * OBJECT_ROWS.checkpoint,
    alarms * OBJECT_ROWS.alarm,
    recordings * OBJECT_ROWS.recording + chunks * OBJECT_ROWS.chunk,
  ];
  const all = requests + sessions;
  const month = (id: PriceId, aDay: number, arithmetic: string): Quantity => ({
    ...{ id, amount: aDay * days, arithmetic: `(${arithmetic}) × ${days} days` },
  });
  const d1Gb = (growth.bytes * days) / GB;
  const r2Gb = (day.castBytes * days) / GB;
  const kept = A.retentionMonths;
  return [
    { id: "plan", amount: 1, arithmetic: "1" },
    month("workerRequests", all, `${n(requests)} requests + ${n(sessions)} sessions`),
    month("workerCpuMs", all * A.cpuMsPerRequest, `${n(all)} requests × ${A.cpuMsPerRequest} ms`),
    month(
      "logEvents",
      all + 2 * sessions + alarms,
      `${n(all)} requests + ${n(sessions)} sessions × 2 + ${n(alarms)} alarms`,
    ),
    month(
      "objectRequests",
      sessions + alarms + messages / 20,
      `${n(sessions)} sessions + ${n(alarms)} alarms + ${n(messages)} messages ÷ 20`,
    ),
    month("objectGbSeconds", objectSeconds * OBJECT_GB, `${n(objectSeconds)} s awake × ${OBJECT_GB} GB`),
    month(
      "objectRowsWritten",
      rows.reduce((sum, one) => sum + one, 0),
      `events ${n(rows[0])} + checkpoints ${n(rows[1])} + alarms ${n(rows[2])} + recordings ${n(rows[3])}`,
    ),
    month(
      "d1RowsWritten",
      growth.rows,
      `${n(sessions)} sessions × ${rowsOfSession()}, ports and refusals + ${n(requestsOnRecord)} requests × ${d1RowsOfRequest()}`,
    ),
    { id: "d1StorageGb", amount: d1Gb * kept, arithmetic: `${n(d1Gb)} GB a month × ${kept} months` },
    month("r2ClassA", day.r2Writes, `${n(recordings)} recordings: ${n(day.r2Writes)} puts and parts`),
    { id: "r2StorageGb", amount: r2Gb * kept, arithmetic: `${n(r2Gb)} GB a month × ${kept} months` },
    {
      id: "seats",
      amount: scale.users > FREE_SEATS ? scale.users : 0,
      arithmetic:
        scale.users > FREE_SEATS ? `${n(scale.users)} people` : `${n(scale.users)} people, of ${FREE_SEATS} free ones`,
    },
  ];
}

/** One hour of one session, alone in its object. */
export function sessionHour(habit: Habit = HABITS.shell): Quantity[] {
  const seconds = 3_600;
  const messages = habit.messages.least + habit.messages.perSecond * seconds;
  const alarms = seconds * ALARMS_PER_SECOND;
  const cast = Math.min(A.maxCastBytes, habit.castBytesPerSecond * seconds);
  const checkpoints = seconds * CHECKPOINTS_PER_SECOND;
  const chunks = habit.shownShare * seconds * CHUNKS_PER_SECOND;
  const rows = objectRowsOfSession({ events: habit.events, isRecorded: cast > 0 });
  const gb = cast / GB;
  const d1Gb = d1Growth(1, habit.events - 3, 0, 0).bytes / GB;
  const kept = A.retentionMonths;
  return [
    { id: "workerRequests", amount: 1, arithmetic: "the upgrade" },
    { id: "workerCpuMs", amount: A.cpuMsPerRequest, arithmetic: `${A.cpuMsPerRequest} ms` },
    {
      id: "objectGbSeconds",
      amount: (seconds + A.lingerSeconds) * OBJECT_GB,
      arithmetic: `(${n(seconds)} + ${A.lingerSeconds}) s × ${OBJECT_GB} GB`,
    },
    {
      id: "objectRequests",
      amount: 1 + alarms + messages / 20,
      arithmetic: `1 call + ${n(alarms)} alarms + ${n(messages)} messages ÷ 20`,
    },
    {
      id: "objectRowsWritten",
      amount: rows + checkpoints + alarms + chunks * OBJECT_ROWS.chunk,
      arithmetic: `record ${n(rows)} + checkpoints ${n(checkpoints)} + alarms ${n(alarms)} + ${n(chunks)} chunks × ${OBJECT_ROWS.chunk}`,
    },
    {
      id: "d1RowsWritten",
      amount: rowsOfSession(),
      arithmetic: `start ${d1RowsOfEvent("start")} + connect ${d1RowsOfEvent("connect")} + end ${d1RowsOfEvent("end")}`,
    },
    { id: "d1StorageGb", amount: d1Gb * kept, arithmetic: `${n(d1Gb * 1e6)} KB × ${kept} months` },
    { id: "r2ClassA", amount: r2Writes(cast), arithmetic: cast > 0 ? `a cast of ${n(cast / 1e6)} MB` : "no recording" },
    { id: "r2StorageGb", amount: gb * kept, arithmetic: `${n(gb * 1e3)} MB × ${kept} months` },
    { id: "logEvents", amount: 3 + alarms, arithmetic: `3 + ${n(alarms)} alarms` },
  ];
}

/** Rows of D1 for an exec session that opens and ends. */
export function rowsOfSession(): number {
  return d1RowsOfEvent("start") + d1RowsOfEvent("connect") + d1RowsOfEvent("end");
}

/** What it costs in a month, once what the month includes is used; `fromZero` leaves that out: the price of one more. */
export function costOf(quantities: readonly Quantity[], fromZero = false): CostLine[] {
  return quantities.map((quantity) => {
    const { usd, per, included } = PRICES[quantity.id];
    const billed = fromZero ? quantity.amount : Math.max(0, quantity.amount - included);
    return { ...quantity, usd: (billed / per) * usd };
  });
}

export function total(lines: readonly CostLine[], { seats = true } = {}): number {
  return lines.filter(({ id }) => seats || id !== "seats").reduce((sum, { usd }) => sum + usd, 0);
}

/** A number as people read it, to three places that matter. */
export function n(value = 0): string {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1_000) return Math.round(Number(value.toPrecision(3))).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
