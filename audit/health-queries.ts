/** How the audit database is: its size, how fast it grows, and whether its newest events are as they were hashed. */
import { type ChainedEvent, hashEvent } from "./chain.ts";
import { MAX_DATABASE_BYTES } from "./seal/database-size.ts";
import type { Month } from "./seal/months.ts";
import { monthOfRange } from "./seal/next-step.ts";
import { readSealProgress } from "./seal/queries.ts";
import type { Seal } from "./seal/tables.ts";

/** How many of the newest events are checked: their data is read and hashed. */
const CHECKED_EVENTS = 500;
/** The growth is that of so many of the newest rows. */
const GROWTH_ROWS = 100_000;
/** A shorter time says nothing about a day, ms. */
const LEAST_GROWTH_MS = 60 * 60 * 1_000;
const DAY_MS = 24 * 60 * 60 * 1_000;

interface Row {
  readonly row_number: number;
  readonly at: number;
}

export interface DatabaseHealth {
  /** As D1 says; null where the runtime does not say it. */
  readonly bytes: number | null;
  /** The number of the newest row, or 0. */
  readonly newestRow: number;
  /** ms since the epoch; null for an empty database. */
  readonly newestAt: number | null;
  /** By the newest rows; null where they are too few to tell. */
  readonly eventsPerDay: number | null;
  readonly bytesPerDay: number | null;
  /** When it is full if it goes on so and no row leaves it, ms since the epoch. */
  readonly fullAt: number | null;
  readonly seal: Seal | null;
  /**
   * The oldest row without a seal: when it happened, ms since the epoch, and the month after which it is sealed.
   * A row that arrives late counts to the month that is open then.
   */
  readonly unsealed: { readonly oldestAt: number; readonly month: Month } | null;
  readonly checkedEvents: number;
  /** Those whose hash or link does not fit. */
  readonly broken: readonly { readonly session_id: string; readonly seq: number }[];
}

/** @param now ms since the epoch */
export async function readDatabaseHealth(database: D1Database, now: number): Promise<DatabaseHealth> {
  const [[first, before, newest], progress] = await Promise.all([
    database.batch([
      database.prepare("SELECT row_number, at FROM events ORDER BY row_number LIMIT 1"),
      database.prepare(
        `SELECT row_number, at FROM events WHERE row_number > (SELECT max(row_number) FROM events) - ${GROWTH_ROWS}
         ORDER BY row_number LIMIT 1`,
      ),
      database.prepare(`SELECT * FROM events ORDER BY row_number DESC LIMIT ${CHECKED_EVENTS}`),
    ]),
    readSealProgress(database),
  ]);
  const events = (newest?.results ?? []) as (ChainedEvent & Row)[];
  const { newestSeal: seal, range, databaseBytes: bytes } = progress;
  const growth = growthOf(rowOf(first), rowOf(before), events[0], bytes);
  const left = bytes === null ? null : Math.max(0, MAX_DATABASE_BYTES - bytes);
  const canTell = left !== null && growth.bytesPerDay !== null && growth.bytesPerDay > 0;
  return {
    bytes,
    // Of the same moment as the seal, which it is compared with.
    newestRow: range.newestRow,
    newestAt: events[0]?.at ?? null,
    ...growth,
    fullAt: canTell ? now + (left / (growth.bytesPerDay ?? 1)) * DAY_MS : null,
    seal,
    unsealed: range.firstAt === null ? null : { oldestAt: range.firstAt, month: monthOfRange(range, now) },
    checkedEvents: events.length,
    broken: findBroken(events),
  };
}

function rowOf(result: D1Result | undefined): Row | undefined {
  return (result?.results as Row[] | undefined)?.[0];
}

function growthOf(first: Row | undefined, before: Row | undefined, newest: Row | undefined, bytes: number | null) {
  const ms = before && newest ? newest.at - before.at : 0;
  if (!first || !before || !newest || ms < LEAST_GROWTH_MS) return { eventsPerDay: null, bytesPerDay: null };
  const eventsPerDay = ((newest.row_number - before.row_number) / ms) * DAY_MS;
  const bytesOfRow = bytes === null ? null : bytes / (newest.row_number - first.row_number + 1);
  return { eventsPerDay, bytesPerDay: bytesOfRow === null ? null : bytesOfRow * eventsPerDay };
}

/**
 * Events that were changed, or whose predecessor is not what it was. Links to what is older than these events
 * are not looked at: `audit-verify` checks the whole.
 *
 * @param events in any order
 */
export function findBroken(events: readonly ChainedEvent[]): { session_id: string; seq: number }[] {
  const hashes = new Map(events.map(({ session_id, seq, hash }) => [`${session_id} ${seq}`, hash]));
  return events
    .filter((event) => {
      const before = hashes.get(`${event.session_id} ${event.seq - 1}`);
      return hashEvent(event) !== event.hash || (before !== undefined && before !== event.prev_hash);
    })
    .map(({ session_id, seq }) => ({ session_id, seq }));
}
