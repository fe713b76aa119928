/** What usage costs, line by line. Pure. */
import { ASSUMPTIONS as A, USAGE_PROFILES, type UsageProfile } from "./assumptions.ts";
import {
  ALARMS_PER_SECOND,
  CHECKPOINTS_PER_SECOND,
  CHUNKS_PER_SECOND,
  D1_BYTES,
  d1RowsOfEvent,
  d1RowsOfRequest,
  OBJECT_ROWS,
  objectRowsOfSession,
  REPORTS_PER_SECOND,
  r2Writes,
} from "./facts.ts";
import { d1GbHeld } from "./kept-rows.ts";
import { FREE_SEATS, PRICES, type PriceId } from "./prices.ts";
import type { Day } from "./simulate.ts";

/** An amount of something that is billed, and how it was computed. */
export interface Quantity {
  readonly id: PriceId;
  readonly amount: number;
  readonly arithmetic: string;
}

export interface CostLine extends Quantity {
  readonly usd: number;
}

/** An object is billed for this much memory. */
const OBJECT_GB = 0.128;
/**
 * Whether its person is locked, its record, and its answer. Those of a burst share the question. Measured by
 * test/workerd/sizing-facts.test.ts, as the alarm is.
 */
export const CALLS_PER_CHANGE_ALONE = 3;
/** It makes sure that D1 gets both events. */
export const ALARMS_PER_CHANGE_ALONE = 1;
/** The attempt, and the edge's question whether sessions are drained: at most one, isolates share answers. */
const CALLS_PER_SESSION = 2;
const GB = 1e9;
/** The directory is awake while anybody has a session. */
const DIRECTORY_SECONDS_A_DAY = 86_400;

/** D1 rows and bytes of sessions with their events, and of audited requests. */
export function d1Growth(sessions: number, forwards: number, refused: number, requests: number) {
  const of = (type: keyof typeof D1_BYTES, count: number, rows: number) => ({
    events: count,
    rows: rows * count,
    bytes: D1_BYTES[type] * count,
  });
  const parts = [
    of("start", sessions + refused, d1RowsOfEvent("start")),
    of("connect", sessions, d1RowsOfEvent("connect")),
    of("forward", forwards, d1RowsOfEvent("forward")),
    of("end", sessions + refused, d1RowsOfEvent("end")),
    of("request", requests, d1RowsOfEvent("request")),
    of("response", requests, d1RowsOfEvent("response")),
  ];
  return {
    /** Rows without their index entries: as many are billed when they leave D1. */
    events: parts.reduce((sum, { events }) => sum + events, 0),
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/**
 * What a month of such days is billed for, with the audit log and recordings kept for `A.retentionMonths`.
 */
export function monthOf(day: Day): Quantity[] {
  const days = A.workdaysPerMonth;
  const { sessions, refused, forwards, events, recordings, chunks, objectSeconds, sessionSeconds, messages } = day;
  const { requests, auditedRequests, scale } = day;
  const growth = d1Growth(sessions, forwards, refused, auditedRequests);
  const alarms = objectSeconds * ALARMS_PER_SECOND;
  const reports = objectSeconds * REPORTS_PER_SECOND;
  const rows = [
    events * OBJECT_ROWS.event +
      sessions * (OBJECT_ROWS.start + OBJECT_ROWS.end) +
      (events - 2 * sessions) * OBJECT_ROWS.between,
    sessionSeconds * CHECKPOINTS_PER_SECOND * OBJECT_ROWS.checkpoint,
    alarms * OBJECT_ROWS.alarm,
    recordings * OBJECT_ROWS.recording + chunks * OBJECT_ROWS.chunk,
    auditedRequests * (OBJECT_ROWS.change + ALARMS_PER_CHANGE_ALONE * OBJECT_ROWS.alarm),
  ];
  const all = requests + sessions;
  const month = (id: PriceId, perDay: number, arithmetic: string): Quantity => ({
    ...{ id, amount: perDay * days, arithmetic: `(${arithmetic}) × ${days} days` },
  });
  const d1Gb = (growth.bytes * days) / GB;
  const r2Gb = (day.castBytes * days) / GB;
  const kept = A.retentionMonths;
  return [
    { id: "plan", amount: 1, arithmetic: "1" },
    month("workerRequests", all, `${formatNumber(requests)} requests + ${formatNumber(sessions)} sessions`),
    month("workerCpuMs", all * A.cpuMsPerRequest, `${formatNumber(all)} requests × ${A.cpuMsPerRequest} ms`),
    month(
      "logEvents",
      all + 2 * sessions + alarms,
      `${formatNumber(all)} requests + ${formatNumber(sessions)} sessions × 2 + ${formatNumber(alarms)} alarms`,
    ),
    month(
      "objectRequests",
      CALLS_PER_SESSION * sessions +
        alarms +
        messages / 20 +
        reports +
        (CALLS_PER_CHANGE_ALONE + ALARMS_PER_CHANGE_ALONE) * auditedRequests,
      `${formatNumber(sessions)} sessions × ${CALLS_PER_SESSION} + ${formatNumber(alarms)} alarms + ${formatNumber(messages)} messages ÷ 20 + ${formatNumber(reports)} reports to the directory + ${formatNumber(auditedRequests)} audited requests × ${CALLS_PER_CHANGE_ALONE + ALARMS_PER_CHANGE_ALONE}`,
    ),
    month(
      "objectGbSeconds",
      (objectSeconds + DIRECTORY_SECONDS_A_DAY + auditedRequests * A.awakeSecondsPerChange) * OBJECT_GB,
      `(${formatNumber(objectSeconds)} + the directory's ${formatNumber(DIRECTORY_SECONDS_A_DAY)} + ${formatNumber(auditedRequests)} audited requests × ${A.awakeSecondsPerChange}) s awake × ${OBJECT_GB} GB`,
    ),
    month(
      "objectRowsWritten",
      rows.reduce((sum, one) => sum + one, 0),
      `events ${formatNumber(rows[0])} + checkpoints ${formatNumber(rows[1])} + alarms ${formatNumber(rows[2])} + recordings ${formatNumber(rows[3])} + audited requests ${formatNumber(rows[4])}`,
    ),
    month(
      "d1RowsWritten",
      growth.rows + growth.events,
      `${formatNumber(sessions)} sessions × ${rowsOfSession()}, forwarded ports and refusals + ${formatNumber(auditedRequests)} requests × ${d1RowsOfRequest()} + ${formatNumber(growth.events)} rows that leave`,
    ),
    {
      id: "d1StorageGb",
      amount: d1GbHeld(d1Gb, A.keepMonths),
      arithmetic: `${formatNumber(d1Gb)} GB per month × ${A.keepMonths} months, and the open range`,
    },
    month(
      "r2ClassA",
      day.r2Writes,
      `${formatNumber(recordings)} recordings: ${formatNumber(day.r2Writes)} puts and parts`,
    ),
    { id: "r2StorageGb", amount: r2Gb * kept, arithmetic: `${formatNumber(r2Gb)} GB per month × ${kept} months` },
    {
      id: "seats",
      amount: scale.users > FREE_SEATS ? scale.users : 0,
      arithmetic:
        scale.users > FREE_SEATS
          ? `${formatNumber(scale.users)} people`
          : `${formatNumber(scale.users)} people, ${FREE_SEATS} are free`,
    },
  ];
}

/** What one hour of one session is billed for, where the user has no other session. */
export function sessionHour(profile: UsageProfile = USAGE_PROFILES.shell): Quantity[] {
  const seconds = 3_600;
  const messages = profile.messages.least + profile.messages.perSecond * seconds;
  const alarms = seconds * ALARMS_PER_SECOND;
  const reports = seconds * REPORTS_PER_SECOND;
  const cast = Math.min(A.maxCastBytes, profile.castBytesPerSecond * seconds);
  const checkpoints = seconds * CHECKPOINTS_PER_SECOND;
  const chunks = profile.shownShare * seconds * CHUNKS_PER_SECOND;
  const rows = objectRowsOfSession({ events: profile.events, isRecorded: cast > 0 });
  const gb = cast / GB;
  const d1Gb = d1Growth(1, profile.events - 3, 0, 0).bytes / GB;
  const kept = A.retentionMonths;
  return [
    { id: "workerRequests", amount: 1, arithmetic: "the upgrade" },
    { id: "workerCpuMs", amount: A.cpuMsPerRequest, arithmetic: `${A.cpuMsPerRequest} ms` },
    {
      id: "objectGbSeconds",
      amount: (seconds + A.lingerSeconds) * OBJECT_GB,
      arithmetic: `(${formatNumber(seconds)} + ${A.lingerSeconds}) s × ${OBJECT_GB} GB`,
    },
    {
      id: "objectRequests",
      amount: 1 + alarms + messages / 20 + reports,
      arithmetic: `1 call + ${formatNumber(alarms)} alarms + ${formatNumber(messages)} messages ÷ 20 + ${formatNumber(reports)} reports`,
    },
    {
      id: "objectRowsWritten",
      amount: rows + checkpoints + alarms + chunks * OBJECT_ROWS.chunk,
      arithmetic: `session ${formatNumber(rows)} + checkpoints ${formatNumber(checkpoints)} + alarms ${formatNumber(alarms)} + ${formatNumber(chunks)} chunks × ${OBJECT_ROWS.chunk}`,
    },
    {
      id: "d1RowsWritten",
      amount: rowsOfSession() + profile.events,
      arithmetic: `start ${d1RowsOfEvent("start")} + connect ${d1RowsOfEvent("connect")} + end ${d1RowsOfEvent("end")} + ${profile.events} rows that leave`,
    },
    {
      id: "d1StorageGb",
      amount: d1Gb * A.keepMonths,
      arithmetic: `${formatNumber(d1Gb * 1e6)} KB × ${A.keepMonths} months`,
    },
    {
      id: "r2ClassA",
      amount: r2Writes(cast),
      arithmetic: cast > 0 ? `a recording of ${formatNumber(cast / 1e6)} MB` : "no recording",
    },
    { id: "r2StorageGb", amount: gb * kept, arithmetic: `${formatNumber(gb * 1e3)} MB × ${kept} months` },
    { id: "logEvents", amount: 3 + alarms, arithmetic: `3 + ${formatNumber(alarms)} alarms` },
  ];
}

/**
 * What a million changes are billed for, where each comes alone: the upper bound. Those of a burst share what
 * their object is awake, and its alarm.
 */
export function millionChanges(): Quantity[] {
  const { events, rows, bytes } = d1Growth(0, 0, 0, 1);
  const { awakeSecondsPerChange: awake, cpuMsPerRequest, keepMonths } = A;
  const each: Quantity[] = [
    { id: "workerRequests", amount: 1, arithmetic: "the request" },
    { id: "workerCpuMs", amount: cpuMsPerRequest, arithmetic: `${cpuMsPerRequest} ms` },
    {
      id: "objectRequests",
      amount: CALLS_PER_CHANGE_ALONE + ALARMS_PER_CHANGE_ALONE,
      arithmetic: `lock, record, status: ${CALLS_PER_CHANGE_ALONE} calls + ${ALARMS_PER_CHANGE_ALONE} alarm`,
    },
    { id: "objectGbSeconds", amount: awake * OBJECT_GB, arithmetic: `${awake} s × ${OBJECT_GB} GB` },
    {
      id: "objectRowsWritten",
      amount: OBJECT_ROWS.change + ALARMS_PER_CHANGE_ALONE * OBJECT_ROWS.alarm,
      arithmetic: `change ${OBJECT_ROWS.change} + alarm ${ALARMS_PER_CHANGE_ALONE * OBJECT_ROWS.alarm}`,
    },
    {
      id: "d1RowsWritten",
      amount: rows + events,
      arithmetic: `request ${d1RowsOfEvent("request")} + response ${d1RowsOfEvent("response")} + ${events} rows that leave`,
    },
    {
      id: "d1StorageGb",
      amount: (bytes / GB) * keepMonths,
      arithmetic: `${formatNumber(bytes / 1e3)} KB × ${keepMonths} months`,
    },
    { id: "logEvents", amount: 1 + ALARMS_PER_CHANGE_ALONE, arithmetic: `1 + ${ALARMS_PER_CHANGE_ALONE} alarm` },
  ];
  return each.map(({ amount, ...rest }) => ({ ...rest, amount: amount * 1e6 }));
}

/** D1 rows of an exec session, from start to end. */
export function rowsOfSession(): number {
  return d1RowsOfEvent("start") + d1RowsOfEvent("connect") + d1RowsOfEvent("end");
}

/**
 * What quantities cost in a month.
 *
 * @param fromZero whether the included amounts are used up already: the price of one more
 */
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

/** A number for people: three significant digits. */
export function formatNumber(value = 0): string {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1_000) return Math.round(Number(value.toPrecision(3))).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
