/**
 * Reads the events of the audit log, ordered by session_id and seq: from
 * a local stack, or from the deployed D1.
 */
import { DatabaseSync } from "node:sqlite";
import type { ChainedEvent } from "../audit/chain.ts";
import { readEndpoints } from "./deployment/local-stack.ts";

const COLUMNS = "session_id, seq, at, type, data, prev_hash, hash";
/** An answer of D1 has a few megabytes at most. An event is under 64 KiB, and most are under 1 KiB. */
const REMOTE_PAGE_EVENTS = 500;

/**
 * Reads the database file of a local stack, which may be running.
 *
 * @param stateDir the folder of `npm start --state`
 */
export function* localEvents(stateDir: string): Generator<ChainedEvent> {
  const database = new DatabaseSync(readEndpoints(stateDir).d1, { readOnly: true });
  try {
    const rows = database.prepare(`SELECT ${COLUMNS} FROM events ORDER BY session_id, seq`).iterate();
    for (const row of rows) yield row as unknown as ChainedEvent;
  } finally {
    database.close();
  }
}

/**
 * Runs statements on the database of a local stack, which may be running.
 *
 * @param path of its file
 */
export function localDatabase(path: string): Query {
  return async <Row>(sql: string) => {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      return database.prepare(sql).all() as Row[];
    } finally {
      database.close();
    }
  };
}

/** Runs one read-only statement on D1, deployed or local. */
export type Query = <Row>(sql: string) => Promise<Row[]>;

/** Whether any range is sealed. A database without the migration has no such table. */
export async function hasSeals(query: Query): Promise<boolean> {
  const [table] = await query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seals'");
  return table !== undefined && (await query("SELECT 1 FROM seals LIMIT 1")).length > 0;
}

/** The events of an assembled audit log, ordered by session_id and seq. See seals/assemble.ts. */
export function* assembledEvents(database: DatabaseSync): Generator<ChainedEvent> {
  for (const row of database.prepare(`SELECT ${COLUMNS} FROM events ORDER BY session_id, seq`).iterate()) {
    yield row as unknown as ChainedEvent;
  }
}

/** Reads the deployed D1, page by page. */
export async function* remoteEvents(query: Query): AsyncGenerator<ChainedEvent> {
  // Events that arrive meanwhile are left out: otherwise a page could have
  // the end of a session without its start.
  const [last] = await query<{ newest: number | null }>("SELECT max(row_number) AS newest FROM events");
  let after: ChainedEvent | undefined;
  for (;;) {
    const page = await query<ChainedEvent>(pageSql(Number(last?.newest ?? 0), after));
    yield* page;
    after = page.at(-1);
    if (page.length < REMOTE_PAGE_EVENTS) return;
  }
}

/** @param after the last event of the page before */
function pageSql(newest: number, after: ChainedEvent | undefined): string {
  const id = after?.session_id.replaceAll("'", "''");
  const rest = after ? `AND (session_id, seq) > ('${id}', ${Number(after.seq)})` : "";
  return `SELECT ${COLUMNS} FROM events WHERE row_number <= ${newest} ${rest} ORDER BY session_id, seq LIMIT ${REMOTE_PAGE_EVENTS}`;
}
