import type { Counts, SessionEvent, SessionEventBody } from "../audit/events.ts";

/** An event that waits for its way to D1; `n` is its place in the queue. */
export type QueuedEvent = SessionEvent & { readonly n: number };

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
        id TEXT PRIMARY KEY, started_at INTEGER NOT NULL, seen_at INTEGER NOT NULL, next_seq INTEGER NOT NULL,
        bytes_in INTEGER NOT NULL DEFAULT 0, bytes_out INTEGER NOT NULL DEFAULT 0,
        messages_in INTEGER NOT NULL DEFAULT 0, messages_out INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS outbox (
        n INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
        type TEXT NOT NULL, data TEXT NOT NULL
      );`);
  }

  /** Writes a session's next event. The first must be its `start`, the last its `end`. */
  append(sessionId: string, at: number, event: SessionEventBody): void {
    if (event.type === "start") {
      this.#sql.exec(
        "INSERT INTO open_sessions (id, started_at, seen_at, next_seq) VALUES (?, ?, ?, 0)",
        sessionId,
        at,
        at,
      );
    }
    const { seq } = this.#sql
      .exec<{ seq: number }>(
        "UPDATE open_sessions SET next_seq = next_seq + 1 WHERE id = ? RETURNING next_seq - 1 AS seq",
        sessionId,
      )
      .one();
    this.#sql.exec(
      "INSERT INTO outbox (session_id, seq, at, type, data) VALUES (?, ?, ?, ?, ?)",
      sessionId,
      seq,
      at,
      event.type,
      JSON.stringify(event.data),
    );
    if (event.type === "end") this.#sql.exec("DELETE FROM open_sessions WHERE id = ?", sessionId);
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
      .exec<{ n: number; session_id: string; seq: number; at: number; type: string; data: string }>(
        "SELECT n, session_id, seq, at, type, data FROM outbox ORDER BY n LIMIT ?",
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, data: JSON.parse(row.data) }) as QueuedEvent);
  }

  /** Forgets events that D1 has confirmed, up to and including place `n`. */
  delivered(n: number): void {
    this.#sql.exec("DELETE FROM outbox WHERE n <= ?", n);
  }

  hasQueued(): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox LIMIT 1").toArray().length > 0;
  }
}
