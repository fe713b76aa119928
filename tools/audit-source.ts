/**
 * Reads the events of the audit log, ordered by session_id and seq: from
 * a local stack, or from the deployed D1.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ChainedEvent } from "../audit/chain.ts";

const COLUMNS = "session_id, seq, at, type, data, prev_hash, hash";
/** An answer of D1 has a few megabytes at most. An event is under 64 KiB, and most are under 1 KiB. */
const REMOTE_PAGE_EVENTS = 500;

/**
 * Reads the database file of a local stack, which may be running.
 *
 * @param stateDir the folder of `npm start --state`
 */
export function* localEvents(stateDir: string): Generator<ChainedEvent> {
  const { d1 } = JSON.parse(readEndpoints(stateDir)) as { d1: string };
  const database = new DatabaseSync(d1, { readOnly: true });
  try {
    const rows = database.prepare(`SELECT ${COLUMNS} FROM events ORDER BY session_id, seq`).iterate();
    for (const row of rows) yield row as unknown as ChainedEvent;
  } finally {
    database.close();
  }
}

function readEndpoints(stateDir: string): string {
  try {
    return readFileSync(join(stateDir, "endpoints.json"), "utf8");
  } catch {
    throw new Error(`no local stack in ${stateDir} (no endpoints.json): run npm start, or set --state to its folder`);
  }
}

/**
 * Reads the deployed D1 through wrangler, page by page.
 *
 * @param configuration path of the wrangler configuration, such as `npx sallyport deploy` writes
 */
export function* remoteEvents(configuration: string): Generator<ChainedEvent> {
  // Events that arrive meanwhile are left out: otherwise a page could have
  // the end of a session without its start.
  const [last] = query<{ newest: number | null }>(configuration, "SELECT max(row_number) AS newest FROM events");
  let after: ChainedEvent | undefined;
  for (;;) {
    const page = readRemotePage(configuration, Number(last?.newest ?? 0), after);
    yield* page;
    after = page.at(-1);
    if (page.length < REMOTE_PAGE_EVENTS) return;
  }
}

function readRemotePage(configuration: string, newest: number, after: ChainedEvent | undefined): ChainedEvent[] {
  const id = after?.session_id.replaceAll("'", "''");
  const rest = after ? `AND (session_id, seq) > ('${id}', ${Number(after.seq)})` : "";
  return query<ChainedEvent>(
    configuration,
    `SELECT ${COLUMNS} FROM events WHERE row_number <= ${newest} ${rest}
     ORDER BY session_id, seq LIMIT ${REMOTE_PAGE_EVENTS}`,
  );
}

function query<Row>(configuration: string, sql: string): Row[] {
  const output = execFileSync(
    "npx",
    ["wrangler", "d1", "execute", "AUDIT_DB", "--remote", "--json", "--config", configuration, "--command", sql],
    { encoding: "utf8", maxBuffer: 256 * 1024 * 1024, stdio: ["ignore", "pipe", "inherit"] },
  );
  const [answer] = JSON.parse(output) as [{ results: Row[] }?];
  if (!answer) throw new Error("wrangler returned no result");
  return answer.results;
}
