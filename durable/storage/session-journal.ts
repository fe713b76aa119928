import { type ChainedEvent, hashEvent } from "../../audit/chain.ts";
import type { Counts, DeploymentEventBody, SessionEvent, SessionEventBody, UserEventBody } from "../../audit/events.ts";
import type { RequestEnd, RequestEventBody } from "../../audit/request-events.ts";
import { utf8Length } from "../../common/bytes.ts";
import { printableJson } from "../../common/text.ts";
import { parseStatus, type Status } from "../../kubernetes/status.ts";

/** An event that waits for its delivery to D1, in the order of `row_number`. */
export type QueuedEvent = ChainedEvent & { readonly row_number: number };

/**
 * Bytes that an event takes in D1 beside its data: ids, hashes, and its entries in indexes. Measured in
 * test/workerd/sizing-facts.test.ts.
 */
export const EVENT_OVERHEAD_BYTES = 350;

/**
 * A change counts once for so many bytes of its `request`, and of what its `response` has above a kilobyte:
 * clients choose how long names and images are, and the day's changes bound bytes as well.
 */
const BYTES_PER_CHANGE = 4_000;
const FREE_RESPONSE_BYTES = 1_000;

/** An event that was written. */
export interface Appended {
  readonly hash: string;
  /** What it takes in D1. */
  readonly bytes: number;
}

/** A session that was open when its object stopped. */
export interface OpenSession {
  readonly sessionId: string;
  /** When its counts were last saved, ms since the epoch. */
  readonly checkpointAt: number;
  readonly counts: Counts;
  /** What the cluster had said about the command's end, if it had. */
  readonly finalStatus: Status | undefined;
}

interface OpenSessionRow extends Counts, Record<string, SqlStorageValue> {
  readonly session_id: string;
  readonly checkpoint_at: number;
  readonly final_status: string | null;
}

/**
 * The journal in the object's own SQLite: which sessions and changes are open, and the events that D1 does
 * not have yet.
 *
 * Every method is synchronous, and the platform makes the writes of one turn atomic. The output gate holds
 * back whatever leaves the object until what was written before is on disk.
 */
export class SessionJournal {
  readonly #sql: SqlStorage;
  /** Rows of `outbox` and `open_requests`, counted at the first use: they are asked for at every change. */
  #queueLength: number | undefined;
  #openRequests: number | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Writes a session's next event and chains it. The first must be its `start`, the last its `end`.
   *
   * Its bytes are added to those of the day.
   *
   * @param at ms since the epoch; no event is older than the one before it, even if the machine's clock says
   *   so
   */
  append(sessionId: string, at: number, event: SessionEventBody): Appended {
    const last = event.type === "start" ? this.#open(sessionId, at) : this.#lastEvent(sessionId);
    const eventAt = Math.max(at, last.last_event_at);
    const appended = this.#queue(
      { ...event, session_id: sessionId, seq: last.next_seq, at: eventAt },
      last.last_event_hash,
    );
    const { hash, bytes } = appended;
    if (event.type === "start") this.#setUserChainBySession(hash, dayOf(at), bytes);
    else this.#addSessionBytes(dayOf(at), bytes);
    if (event.type === "end") {
      this.#sql.exec("DELETE FROM open_sessions WHERE session_id = ?", sessionId);
    } else {
      this.#sql.exec(
        `UPDATE open_sessions SET next_seq = next_seq + 1, last_event_at = ?, last_event_hash = ?
         WHERE session_id = ?`,
        eventAt,
        hash,
        sessionId,
      );
    }
    return appended;
  }

  /** Writes an event that belongs to no session, and chains it with the user's session starts. */
  appendUserEvent(id: string, at: number, event: UserEventBody | DeploymentEventBody): void {
    this.#setUserChain(this.#queue({ ...event, session_id: id, seq: 0, at }, this.#userChain()).hash);
  }

  /**
   * Writes an API request, or a summary of several, and chains it with the user's session starts. A request
   * that awaits a response is open until `appendResponse`.
   *
   * @param isChange whether it is one of the day's changes; a very long one counts as several
   */
  appendRequest(
    id: string,
    at: number,
    event: Exclude<RequestEventBody, { readonly type: "response" }>,
    isChange: boolean,
  ): void {
    const { hash, bytes } = this.#queue({ ...event, session_id: id, seq: 0, at }, this.#userChain());
    if (isChange) this.#setUserChainByChange(hash, dayOf(at), changesOf(bytes));
    else this.#setUserChain(hash);
    if (event.type !== "request" || !event.data.awaits_response) return;
    const openRequests = this.openRequestCount();
    this.#sql.exec("INSERT INTO open_requests (request_id, at, last_event_hash) VALUES (?, ?, ?)", id, at, hash);
    this.#openRequests = openRequests + 1;
  }

  /** Writes the response to an open request. Any other is ignored. */
  appendResponse(id: string, at: number, data: RequestEnd): void {
    const openRequests = this.openRequestCount();
    const [open] = this.#sql
      .exec<{ at: number; last_event_hash: string }>(
        "DELETE FROM open_requests WHERE request_id = ? RETURNING at, last_event_hash",
        id,
      )
      .toArray();
    if (!open) return;
    this.#openRequests = openRequests - 1;
    const event = { type: "response", data, session_id: id, seq: 1, at: Math.max(at, open.at) } as const;
    const changes = changesOf(this.#queue(event, open.last_event_hash).bytes - FREE_RESPONSE_BYTES);
    if (changes > 0) {
      this.#sql.exec("UPDATE user_chain SET changes = changes + ? WHERE changes_day = ?", changes, dayOf(at));
    }
  }

  isOpenRequest(id: string): boolean {
    return this.#sql.exec("SELECT 1 FROM open_requests WHERE request_id = ?", id).toArray().length > 0;
  }

  /** How many requests await a response. */
  openRequestCount(): number {
    this.#openRequests ??= this.#sql.exec<{ count: number }>("SELECT count(*) AS count FROM open_requests").one().count;
    return this.#openRequests;
  }

  /** Ids of some of the requests without a response that were written before `at`, ms since the epoch. */
  openRequestsBefore(at: number): string[] {
    return this.#sql
      .exec<{ request_id: string }>("SELECT request_id FROM open_requests WHERE at < ? LIMIT 100", at)
      .toArray()
      .map(({ request_id }) => request_id);
  }

  /** How many bytes the events of sessions have added on the day of `at`, ms since the epoch. */
  sessionBytesOnDayOf(at: number): number {
    const [row] = this.#sql
      .exec<{ bytes: number }>("SELECT session_bytes AS bytes FROM user_chain WHERE sessions_day = ?", dayOf(at))
      .toArray();
    return row?.bytes ?? 0;
  }

  /** How many changes were written on the day of `at`, ms since the epoch. */
  changesOnDayOf(at: number): number {
    const [row] = this.#sql
      .exec<{ changes: number }>("SELECT changes FROM user_chain WHERE changes_day = ?", dayOf(at))
      .toArray();
    return row?.changes ?? 0;
  }

  /**
   * Takes one of the rated rows of the day of `at`, ms since the epoch.
   *
   * @returns false where the day has had as many as it may
   */
  acquireRatedRow(at: number, maximum: number): boolean {
    const day = dayOf(at);
    const [row] = this.#sql
      .exec<{ rated_day: number; rated_rows: number }>("SELECT rated_day, rated_rows FROM user_chain")
      .toArray();
    const rows = row?.rated_day === day ? row.rated_rows : 0;
    if (rows >= maximum) return false;
    this.#sql.exec(
      `INSERT INTO user_chain (id, last_hash, rated_day, rated_rows) VALUES (1, '', ?, ?)
       ON CONFLICT (id) DO UPDATE SET rated_day = excluded.rated_day, rated_rows = excluded.rated_rows`,
      day,
      rows + 1,
    );
    return true;
  }

  /** Saves a session's counts, in case the object stops before the session ends. */
  checkpoint(sessionId: string, at: number, counts: Counts): void {
    this.#sql.exec(
      `UPDATE open_sessions SET checkpoint_at = ?, bytes_in = ?, bytes_out = ?, messages_in = ?, messages_out = ?
       WHERE session_id = ?`,
      at,
      counts.bytes_in,
      counts.bytes_out,
      counts.messages_in,
      counts.messages_out,
      sessionId,
    );
  }

  openSessions(): OpenSession[] {
    return this.#sql
      .exec<OpenSessionRow>(
        `SELECT session_id, checkpoint_at, final_status, bytes_in, bytes_out, messages_in, messages_out
         FROM open_sessions`,
      )
      .toArray()
      .map(({ session_id, checkpoint_at, final_status, ...counts }) => ({
        sessionId: session_id,
        checkpointAt: checkpoint_at,
        counts,
        finalStatus: final_status === null ? undefined : parseStatus(final_status),
      }));
  }

  /**
   * Saves what the cluster said about the command's end, with the session's counts, in case the object stops
   * before the end is written. The object's next life makes the same end of them, see `openSessions`.
   */
  saveFinalStatus(sessionId: string, at: number, counts: Counts, status: Status): void {
    this.#sql.exec(
      `UPDATE open_sessions SET final_status = ?, checkpoint_at = ?, bytes_in = ?, bytes_out = ?, messages_in = ?,
         messages_out = ? WHERE session_id = ?`,
      JSON.stringify(status),
      at,
      counts.bytes_in,
      counts.bytes_out,
      counts.messages_in,
      counts.messages_out,
      sessionId,
    );
  }

  /** The oldest events that D1 does not have yet. */
  queued(limit: number): QueuedEvent[] {
    return this.#sql
      .exec<QueuedEvent & Record<string, SqlStorageValue>>(
        `SELECT row_number, session_id, seq, at, type, data, prev_hash, hash FROM outbox
         ORDER BY row_number LIMIT ?`,
        limit,
      )
      .toArray();
  }

  /** Removes the events that D1 has confirmed, up to and including `rowNumber`. */
  removeDelivered(rowNumber: number): void {
    this.#sql.exec("DELETE FROM outbox WHERE row_number <= ?", rowNumber);
    this.#queueLength = undefined;
  }

  /** How many events D1 does not have yet. */
  queueLength(): number {
    this.#queueLength ??= this.#sql.exec<{ length: number }>("SELECT count(*) AS length FROM outbox").one().length;
    return this.#queueLength;
  }

  /** Whether D1 lacks any of the session's or request's events. */
  isQueued(sessionId: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE session_id = ? LIMIT 1", sessionId).toArray().length > 0;
  }

  #open(sessionId: string, at: number): LastEvent {
    const prevHash = this.#userChain();
    this.#sql.exec(
      `INSERT INTO open_sessions (session_id, started_at, checkpoint_at, next_seq, last_event_at, last_event_hash)
       VALUES (?, ?, ?, 0, ?, ?)`,
      sessionId,
      at,
      at,
      at,
      prevHash,
    );
    return { next_seq: 0, last_event_at: at, last_event_hash: prevHash };
  }

  #lastEvent(sessionId: string): LastEvent {
    return this.#sql
      .exec<LastEvent & Record<string, SqlStorageValue>>(
        "SELECT next_seq, last_event_at, last_event_hash FROM open_sessions WHERE session_id = ?",
        sessionId,
      )
      .one();
  }

  #queue({ session_id, seq, at, type, data }: SessionEvent, prevHash: string): Appended {
    const text = printableJson(data);
    const queueLength = this.queueLength();
    const hash = hashEvent({ session_id, seq, at, type, data: text, prev_hash: prevHash });
    this.#sql.exec(
      "INSERT INTO outbox (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[session_id, seq, at, type, text, prevHash, hash],
    );
    this.#queueLength = queueLength + 1;
    return { hash, bytes: utf8Length(text) + EVENT_OVERHEAD_BYTES };
  }

  #userChain(): string {
    return this.#sql.exec<{ last_hash: string }>("SELECT last_hash FROM user_chain").toArray()[0]?.last_hash ?? "";
  }

  #setUserChain(hash: string): void {
    this.#sql.exec(
      `INSERT INTO user_chain (id, last_hash) VALUES (1, ?)
       ON CONFLICT (id) DO UPDATE SET last_hash = excluded.last_hash`,
      hash,
    );
  }

  /** The same statement counts the bytes: rows that are written have a price. */
  #setUserChainBySession(hash: string, day: number, bytes: number): void {
    this.#sql.exec(
      `INSERT INTO user_chain (id, last_hash, sessions_day, session_bytes) VALUES (1, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET last_hash = excluded.last_hash, sessions_day = excluded.sessions_day,
         session_bytes = CASE sessions_day WHEN excluded.sessions_day THEN session_bytes + excluded.session_bytes
           ELSE excluded.session_bytes END`,
      hash,
      day,
      bytes,
    );
  }

  /** Of a session whose start made the row. */
  #addSessionBytes(day: number, bytes: number): void {
    this.#sql.exec(
      `UPDATE user_chain SET sessions_day = ?1,
         session_bytes = CASE sessions_day WHEN ?1 THEN session_bytes + ?2 ELSE ?2 END`,
      day,
      bytes,
    );
  }

  /** The same statement counts the change, likewise. */
  #setUserChainByChange(hash: string, day: number, changes: number): void {
    this.#sql.exec(
      `INSERT INTO user_chain (id, last_hash, changes_day, changes) VALUES (1, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET last_hash = excluded.last_hash, changes_day = excluded.changes_day,
         changes = CASE changes_day WHEN excluded.changes_day THEN changes + excluded.changes
           ELSE excluded.changes END`,
      hash,
      day,
      changes,
    );
  }
}

function changesOf(bytes: number): number {
  return Math.max(0, Math.ceil(bytes / BYTES_PER_CHANGE));
}

/** @returns days since the epoch, in UTC */
export function dayOf(at: number): number {
  return Math.floor(at / (24 * 60 * 60_000));
}

/** The event that a session's next event follows. */
interface LastEvent {
  readonly next_seq: number;
  readonly last_event_at: number;
  readonly last_event_hash: string;
}
