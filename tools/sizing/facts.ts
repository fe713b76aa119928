/**
 * The rows, calls and alarms of a session and of a request.
 *
 * They come from the code where it says them (schema, intervals, sizes). The others are constants, which
 * test/workerd/sizing-facts.test.ts measures on a running object and on a local D1.
 */
import { getTableConfig, SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import type { EVENT_TYPES } from "../../audit/events.ts";
import { events } from "../../audit/events-table.ts";
import { CHECKPOINT_MS, HEARTBEAT_MS, REPORT_MS } from "../../durable/intervals.ts";
import { FLUSH_MS, PART_BYTES } from "../../durable/recording/policy.ts";

export type EventType = (typeof EVENT_TYPES)[number];

/**
 * Rows that D1 bills for one event: the table's, its key's, and those of the indexes that include this type.
 */
export function d1RowsOfEvent(type: EventType): number {
  const dialect = new SQLiteSyncDialect();
  const { indexes, primaryKeys } = getTableConfig(events);
  const touched = indexes.filter(({ config }) => {
    const where = config.where === undefined ? "" : dialect.sqlToQuery(config.where).sql;
    return where === "" || where.includes(`'${type}'`);
  });
  return 1 + primaryKeys.length + touched.length;
}

/** The same for an audited request. Most are changes, which have two events. */
export function d1RowsOfRequest(): number {
  return d1RowsOfEvent("request") + d1RowsOfEvent("response");
}

/** Bytes of a row with usual content and its index entries. Measured; correct to a quarter. */
export const D1_BYTES = { start: 1_050, connect: 340, forward: 335, end: 625, request: 1_200, response: 340 } as const;

/** SQLite rows that a user's object writes. Measured; exact. */
export const OBJECT_ROWS = {
  /** Into the outbox, with its counter, and out of it. */
  event: 3,
  /** A change: two events, its row in open_requests and out of it, and the user's chain. */
  change: 9,
  /**
   * A session's start, besides its event: its row in open_sessions, that row's update, and the user's chain.
   */
  start: 3,
  /** Any event between start and end: its row's update, and the bytes of the day. */
  between: 2,
  /** The session's row has the command's Status, and is closed. And the bytes of the day. */
  end: 3,
  /** A recording: its row, its header, its end, and its deletion once R2 has it. */
  recording: 4,
  /** A chunk of a recording: written, and deleted. */
  chunk: 2,
  /** A message of input that the cluster does not take, or 512 KiB of a larger one: written, and deleted. */
  stdinPiece: 3,
  checkpoint: 1,
  /** The platform bills each setting of an alarm as a row. */
  alarm: 1,
} as const;

/** Rows of the object for one session, without checkpoints, alarms and chunks. */
export function objectRowsOfSession({ events: count, isRecorded }: { events: number; isRecorded: boolean }): number {
  const { event, start, between, end, recording } = OBJECT_ROWS;
  return count * event + start + (count - 2) * between + end + (isRecorded ? recording : 0);
}

export const CHECKPOINTS_PER_SECOND = 1_000 / CHECKPOINT_MS;
export const ALARMS_PER_SECOND = 1_000 / HEARTBEAT_MS;
/**
 * Calls from an awake object to the directory: a maximum, since they become rarer the more objects there are.
 */
export const REPORTS_PER_SECOND = 1_000 / REPORT_MS;
/** How often a chunk of a recording is written at most, while the session has output. */
export const CHUNKS_PER_SECOND = 1_000 / FLUSH_MS;

/** R2 class A operations for a recording: one put, or a multipart upload. See durable/recording/upload.ts. */
export function r2Writes(bytes: number): number {
  if (bytes <= 0) return 0;
  return bytes <= PART_BYTES ? 1 : 2 + Math.ceil(bytes / PART_BYTES);
}
