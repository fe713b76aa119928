import { env } from "cloudflare:workers";
import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import type { SessionEvent } from "../../audit/events.ts";
import { insertEvents } from "../../audit/insert-events.ts";
import type { SessionRow } from "../../audit/rows.ts";
import { findEvents, findSession, findSessions } from "../../audit/session-queries.ts";
import { eventually } from "../support/eventually.ts";

/** Waits until D1 has the end of a session. @returns its row */
export function ended(sessionId: string): Promise<SessionRow> {
  return eventually(async () => {
    const row = await findSession(env.AUDIT_DB, sessionId);
    if (row?.state !== "ended") throw new Error(`in D1 the session is ${row?.state ?? "unknown"}`);
    return row;
  });
}

/** A session's events, without their place in the chain. */
export async function eventsOf(sessionId: string): Promise<SessionEvent[]> {
  const events = await findEvents(env.AUDIT_DB, sessionId);
  return events.map(({ session_id, seq, at, type, data }) => ({
    ...({ type, data: JSON.parse(data), session_id, seq, at } as SessionEvent),
  }));
}

/** Waits until D1 has `count` ended sessions of a user. @returns their rows, oldest first */
export function endedOf(user: string, count: number): Promise<SessionRow[]> {
  return eventually(async () => {
    const rows = await findSessions(env.AUDIT_DB, { state: "ended", user }, 100);
    if (rows.length !== count) throw new Error(`in D1 ${rows.length} sessions of ${user} have ended, not ${count}`);
    return rows.reverse();
  });
}

/** Chains events and writes them to D1, as a user's object does. */
export function write(...events: readonly SessionEvent[]): Promise<void> {
  let prev_hash = "";
  const chained = events.map((event): ChainedEvent => {
    const body = { ...event, data: JSON.stringify(event.data), prev_hash };
    prev_hash = hashEvent(body);
    return { ...body, hash: prev_hash };
  });
  return insertEvents(env.AUDIT_DB, chained);
}
