import { type ChainedEvent, hashEvent } from "../audit/chain.ts";
import type { Counts, SessionEvent, SessionEventBody, UserEventBody } from "../audit/events.ts";

/** An event that waits for its way to D1; `n` is its place in the queue. */
export type QueuedEvent = ChainedEvent & { readonly n: number };

/** A session that was open when its object stopped. */
export interface OpenSession extends Counts {
  readonly id: string;
  readonly started_at: number;
  /** When its counts were last written down. */
  readonly seen_at: number;
}

/**
 * The object's own SQLite: which sessions are open, and the events that D1 does not have yet.
 *
 * Every method is synchronous and, by the platform's rules, atomic with the others of the same turn. The output
 * gate holds back whatever leaves the object until what was written before is on disk.
 */
export class SessionStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec(`
      CREATE TABLE IF NOT EXISTS open_sessions (
        id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, seen_at INTEGER NOT NULL,
        next_seq INTEGER NOT NULL, last_at INTEGER NOT NULL, last_hash TEXT NOT NULL,
        bytes_in INTEGER NOT NULL DEFAULT 0, bytes_out INTEGER NOT NULL DEFAULT 0,
        messages_in INTEGER NOT NULL DEFAULT 0, messages_out INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS last_start (hash TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS outbox (
        n INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
        type TEXT NOT NULL, data TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL
      );`);
  }

  /**
   * Writes a session's next event and chains it. The first must be its `start`, the last its `end`.
   *
   * @param at ms since the epoch; an event is never older than the one before it, whatever this machine's clock says
   * @returns the event's hash
   */
  append(sessionId: string, at: number, event: SessionEventBody): string {
    const last = event.type === "start" ? this.#open(sessionId, at) : this.#last(sessionId);
    const when = Math.max(at, last.last_at);
    const hash = this.#queue({ ...event, session_id: sessionId, seq: last.next_seq, at: when }, last.last_hash);
    if (event.type === "start") this.#setLastStart(hash);
    if (event.type === "end") {
      this.#sql.exec("DELETE FROM open_sessions WHERE id = ?", sessionId);
    } else {
      this.#sql.exec(
        "UPDATE open_sessions SET next_seq = next_seq + 1, last_at = ?, last_hash = ? WHERE id = ?",
        when,
        hash,
        sessionId,
      );
    }
    return hash;
  }

  /** Writes an event that is no session's, in the user's chain of starts. @returns its hash */
  appendUserEvent(id: string, at: number, event: UserEventBody): string {
    const hash = this.#queue({ ...event, session_id: id, seq: 0, at }, this.#lastStart());
    this.#setLastStart(hash);
    return hash;
  }

  /** Writes down how far a session has come, for the case that the object does not live to see its end. */
  checkpoint(sessionId: string, at: number, counts: Counts): void {
    this.#sql.exec(
      "UPDATE open_sessions SET seen_at = ?, bytes_in = ?, bytes_out = ?, messages_in = ?, messages_out = ? WHERE id = ?",
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
      .exec<OpenSession & Record<string, SqlStorageValue>>(
        "SELECT id, started_at, seen_at, bytes_in, bytes_out, messages_in, messages_out FROM open_sessions",
      )
      .toArray();
  }

  /** The oldest events that D1 does not have yet. */
  queued(limit: number): QueuedEvent[] {
    return this.#sql
      .exec<QueuedEvent & Record<string, SqlStorageValue>>(
        "SELECT n, session_id, seq, at, type, data, prev_hash, hash FROM outbox ORDER BY n LIMIT ?",
        limit,
      )
      .toArray();
  }

  /** Forgets events that D1 has confirmed, up to and including place `n`. */
  delivered(n: number): void {
    this.#sql.exec("DELETE FROM outbox WHERE n <= ?", n);
  }

  /** How many events D1 does not have yet. */
  queueLength(): number {
    return this.#sql.exec<{ length: number }>("SELECT count(*) AS length FROM outbox").one().length;
  }

  /** Whether D1 lacks any of the session's events. */
  isQueued(sessionId: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE session_id = ? LIMIT 1", sessionId).toArray().length > 0;
  }

  #open(sessionId: string, at: number): LastEvent {
    const prev_hash = this.#lastStart();
    this.#sql.exec(
      "INSERT INTO open_sessions (id, started_at, seen_at, next_seq, last_at, last_hash) VALUES (?, ?, ?, 0, ?, ?)",
      sessionId,
      at,
      at,
      at,
      prev_hash,
    );
    return { next_seq: 0, last_at: at, last_hash: prev_hash };
  }

  #last(sessionId: string): LastEvent {
    return this.#sql
      .exec<LastEvent & Record<string, SqlStorageValue>>(
        "SELECT next_seq, last_at, last_hash FROM open_sessions WHERE id = ?",
        sessionId,
      )
      .one();
  }

  #queue({ session_id, seq, at, type, data }: SessionEvent, prev_hash: string): string {
    const text = JSON.stringify(data);
    const hash = hashEvent({ session_id, seq, at, type, data: text, prev_hash });
    this.#sql.exec(
      "INSERT INTO outbox (session_id, seq, at, type, data, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[session_id, seq, at, type, text, prev_hash, hash],
    );
    return hash;
  }

  #lastStart(): string {
    return this.#sql.exec<{ hash: string }>("SELECT hash FROM last_start").toArray()[0]?.hash ?? "";
  }

  #setLastStart(hash: string): void {
    this.#sql.exec("DELETE FROM last_start");
    this.#sql.exec("INSERT INTO last_start (hash) VALUES (?)", hash);
  }
}

/** What the next event of a session goes on from. */
interface LastEvent {
  readonly next_seq: number;
  readonly last_at: number;
  readonly last_hash: string;
}
