/**
 * What a session and a request really cost in rows, calls and alarms.
 *
 * Taken from the code where the code says it (schema, intervals, sizes). The rest are constants here, which
 * test/workerd/sizing-facts.test.ts measures on the running object and on a real D1.
 */
import { getTableConfig, SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import { events, requests } from "../../audit/schema.ts";
import { CHECKPOINT_MS, HEARTBEAT_MS } from "../../durable/intervals.ts";
import { FLUSH_MS, PART_BYTES } from "../../durable/recording/policy.ts";

export type EventType = "start" | "connect" | "forward" | "end";

/** Rows that D1 bills for one event: the table's, its key's, and those of the partial indexes that take this type. */
export function d1RowsOfEvent(type: EventType): number {
  const dialect = new SQLiteSyncDialect();
  const { indexes, primaryKeys } = getTableConfig(events);
  const touched = indexes.filter(({ config }) => {
    const where = config.where === undefined ? "" : dialect.sqlToQuery(config.where).sql;
    return where === "" || where.includes(`'${type}'`);
  });
  return 1 + primaryKeys.length + touched.length;
}

/** The same for a request on record, of somebody who is known. */
export function d1RowsOfRequest(): number {
  return 1 + getTableConfig(requests).indexes.length;
}

/** Bytes of a database that a row takes together with its entries in indexes, of usual content. Measured, to a quarter. */
export const D1_BYTES = { start: 1_050, connect: 340, forward: 335, end: 625, request: 550 } as const;

/** SQLite rows that a user's object writes. Measured, exactly. */
export const OBJECT_ROWS = {
  /** Into the outbox, with its counter, and out of it. */
  event: 3,
  /** A session's start, beyond its event: its row in open_sessions, that row's update, and the user's chain. */
  start: 3,
  /** Any event between start and end is noted. */
  between: 1,
  /** The session is closed. */
  end: 1,
  /** A recording: its row, its header, its end, and gone once R2 has it. */
  recording: 4,
  /** A chunk of a recording: in, and out. */
  chunk: 2,
  checkpoint: 1,
  /** Each setting of an alarm, as the platform bills it. */
  alarm: 1,
} as const;

/** Rows of the object for one session, without checkpoints, alarms and chunks. */
export function objectRowsOfSession({ events: count, isRecorded }: { events: number; isRecorded: boolean }): number {
  const { event, start, between, end, recording } = OBJECT_ROWS;
  return count * event + start + (count - 2) * between + end + (isRecorded ? recording : 0);
}

export const CHECKPOINTS_PER_SECOND = 1_000 / CHECKPOINT_MS;
export const ALARMS_PER_SECOND = 1_000 / HEARTBEAT_MS;
/** While a session shows something, a chunk of its recording is written at most so often. */
export const CHUNKS_PER_SECOND = 1_000 / FLUSH_MS;

/** R2 operations of class A for a recording: one put, or an upload of parts. See durable/recording/upload.ts. */
export function r2Writes(bytes: number): number {
  if (bytes <= 0) return 0;
  return bytes <= PART_BYTES ? 1 : 2 + Math.ceil(bytes / PART_BYTES);
}
