/** Where the record is read from: the local D1's file, or the deployed one through wrangler. Session by session, in order. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { ChainedEvent } from "../audit/chain.ts";

const COLUMNS = "session_id, seq, at, type, data, prev_hash, hash";
/** D1 answers at most some megabytes at a time; an event is under 64 KiB, most under 1 KiB. */
const REMOTE_PAGE_EVENTS = 500;

/** @param stateDir of a local stack that has run; it may be running */
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
    throw new Error(
      `there is no local stack's endpoints.json in ${stateDir}: run npm start first, or name its --state`,
    );
  }
}

/** @param configuration of wrangler: the one that `npm run deploy` writes, or another */
export function* remoteEvents(configuration: string): Generator<ChainedEvent> {
  // Append-only, so all up to this row is a whole that no session started meanwhile can be missing from.
  const [last] = ask<{ newest: number | null }>(configuration, "SELECT max(rowid) AS newest FROM events");
  let after: ChainedEvent | undefined;
  for (;;) {
    const page = remotePage(configuration, Number(last?.newest ?? 0), after);
    yield* page;
    after = page.at(-1);
    if (page.length < REMOTE_PAGE_EVENTS) return;
  }
}

function remotePage(configuration: string, newest: number, after: ChainedEvent | undefined): ChainedEvent[] {
  const id = after?.session_id.replaceAll("'", "''");
  const rest = after ? `AND (session_id, seq) > ('${id}', ${Number(after.seq)})` : "";
  return ask<ChainedEvent>(
    configuration,
    `SELECT ${COLUMNS} FROM events WHERE rowid <= ${newest} ${rest} ORDER BY session_id, seq LIMIT ${REMOTE_PAGE_EVENTS}`,
  );
}

function ask<Row>(configuration: string, sql: string): Row[] {
  const output = execFileSync(
    "npx",
    ["wrangler", "d1", "execute", "AUDIT_DB", "--remote", "--json", "--config", configuration, "--command", sql],
    { encoding: "utf8", maxBuffer: 256 * 1024 * 1024, stdio: ["ignore", "pipe", "inherit"] },
  );
  const [answer] = JSON.parse(output) as [{ results: Row[] }?];
  if (!answer) throw new Error("wrangler gave no answer");
  return answer.results;
}
