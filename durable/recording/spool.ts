import type { CastFacts } from "./cast-lines.ts";
import { CHUNK_BYTES, PART_BYTES } from "./policy.ts";

/** A recording that R2 does not have as a whole yet. */
export interface SpooledRecording {
  readonly id: string;
  /** `lost`: R2 has forgotten the upload; what is here is all there is, and stays here. */
  readonly state: "open" | "ended" | "lost";
  readonly facts: CastFacts;
  readonly started_at: number;
  /** When the cast's time starts, ms since the epoch; null before its first byte. */
  readonly first_at: number | null;
  /** When it was last written to, ms since the epoch. */
  readonly last_at: number;
  readonly upload_id: string | null;
  /** The etags of the parts that R2 has: part n is at n - 1. */
  readonly etags: readonly string[];
}

type Row = Record<string, SqlStorageValue> & {
  id: string;
  state: SpooledRecording["state"];
  facts: string;
  started_at: number;
  first_at: number | null;
  last_at: number;
  upload_id: string | null;
  etags: string;
};

/**
 * Recordings on their way to R2, in the object's own SQLite: chunks of the cast's text, each at its place (`start`, a byte
 * offset in the cast), and how far the upload has come. Every method is one step of the platform's own: all of it or none.
 *
 * No chunk lies across the border of a part, so a part is a run of whole chunks and goes as such.
 */
export class Spool {
  readonly #sql: SqlStorage;
  #bytesHeld: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    // Chunks are written once a second for every session: without a rowid each is one billed row, not two.
    sql.exec(`
      CREATE TABLE IF NOT EXISTS recordings (
        id TEXT PRIMARY KEY, state TEXT NOT NULL, facts TEXT NOT NULL, started_at INTEGER NOT NULL, header TEXT,
        first_at INTEGER, last_at INTEGER NOT NULL, upload_id TEXT, etags TEXT NOT NULL DEFAULT '[]', tries INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS recording_chunks (
        id TEXT NOT NULL, start INTEGER NOT NULL, at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (id, start)
      ) WITHOUT ROWID;`);
    this.#bytesHeld = this.#number("SELECT coalesce(sum(length(bytes)), 0) AS n FROM recording_chunks");
  }

  /** Bytes of all recordings together that R2 does not have. */
  get bytesHeld(): number {
    return this.#bytesHeld;
  }

  begin(facts: CastFacts, now: number): void {
    this.#sql.exec(
      "INSERT INTO recordings (id, state, facts, started_at, last_at) VALUES (?, 'open', ?, ?, ?)",
      facts.sessionId,
      JSON.stringify(facts),
      now,
      now,
    );
  }

  /** The cast's first line, kept for readers who come after it has gone to R2 with the first part. */
  setHeader(id: string, header: string, firstAt: number): void {
    this.#sql.exec("UPDATE recordings SET header = ?, first_at = ? WHERE id = ?", header, firstAt, id);
  }

  header(id: string): string | undefined {
    return (
      this.#first<{ header: string | null }>("SELECT header FROM recordings WHERE id = ?", id)?.header ?? undefined
    );
  }

  /** @returns whether it has reached the border of a part: there is something to upload */
  append(id: string, start: number, bytes: Uint8Array, now: number): boolean {
    let filledPart = false;
    for (let from = 0; from < bytes.length; ) {
      const at = start + from;
      const piece = bytes.subarray(from, from + Math.min(CHUNK_BYTES, PART_BYTES - (at % PART_BYTES)));
      // OR REPLACE: after a failure in the middle of an append the next one begins at the same place.
      this.#sql.exec(
        "INSERT OR REPLACE INTO recording_chunks (id, start, at, bytes) VALUES (?, ?, ?, ?)",
        id,
        at,
        now,
        piece,
      );
      from += piece.length;
      this.#bytesHeld += piece.length;
      filledPart ||= (at + piece.length) % PART_BYTES === 0;
    }
    return filledPart;
  }

  /** Nothing more will be appended. */
  end(id: string): void {
    this.#sql.exec("UPDATE recordings SET state = 'ended' WHERE id = ?", id);
  }

  find(id: string): SpooledRecording | undefined {
    const row = this.#first<Row>(`${SELECT} WHERE id = ?`, id);
    return row && read(row);
  }

  /** Those that have something to upload, or may have: what failed most often comes last. */
  waiting(): SpooledRecording[] {
    return this.#sql.exec<Row>(`${SELECT} WHERE state <> 'lost' ORDER BY tries, id`).toArray().map(read);
  }

  /** Those that no session of this life of the object writes to: the last life stopped without ending them. */
  open(): SpooledRecording[] {
    return this.#sql.exec<Row>(`${SELECT} WHERE state = 'open'`).toArray().map(read);
  }

  /** Where the next byte goes: the size of the cast so far. */
  size({ id, etags }: SpooledRecording): number {
    const last = this.#first<{ n: number }>(
      "SELECT start + length(bytes) AS n FROM recording_chunks WHERE id = ? ORDER BY start DESC LIMIT 1",
      id,
    );
    return last?.n ?? etags.length * PART_BYTES;
  }

  /** The bytes from `start` on, at most `length` of them. */
  bytes(id: string, start: number, length: number): Uint8Array {
    const chunks = this.#sql.exec<{ start: number; bytes: ArrayBuffer }>(
      `SELECT start, bytes FROM recording_chunks WHERE id = ?1 AND start < ?3 AND start >= coalesce(
         (SELECT max(start) FROM recording_chunks WHERE id = ?1 AND start <= ?2), ?2) ORDER BY start`,
      id,
      start,
      start + length,
    );
    const joined = new Uint8Array(length);
    let end = 0;
    for (const chunk of chunks) {
      const skipped = Math.max(0, start - chunk.start);
      const target = Math.max(0, chunk.start - start);
      const piece = new Uint8Array(chunk.bytes).subarray(skipped, skipped + length - target);
      joined.set(piece, target);
      end = target + piece.length;
    }
    return joined.subarray(0, end);
  }

  setUpload(id: string, uploadId: string): void {
    this.#sql.exec("UPDATE recordings SET upload_id = ? WHERE id = ?", uploadId, id);
  }

  /** R2 has the next part: its bytes are not needed here any more. */
  partUploaded({ id, etags, last_at }: SpooledRecording, etag: string): void {
    const from = etags.length * PART_BYTES;
    const to = from + PART_BYTES;
    const gone = this.#first<{ n: number; at: number | null }>(
      "SELECT coalesce(sum(length(bytes)), 0) AS n, max(at) AS at FROM recording_chunks WHERE id = ? AND start >= ? AND start < ?",
      id,
      from,
      to,
    );
    this.#sql.exec("DELETE FROM recording_chunks WHERE id = ? AND start >= ? AND start < ?", id, from, to);
    this.#sql.exec(
      "UPDATE recordings SET etags = ?, last_at = ?, tries = 0 WHERE id = ?",
      JSON.stringify([...etags, etag]),
      Math.max(last_at, gone?.at ?? 0),
      id,
    );
    this.#bytesHeld -= gone?.n ?? 0;
  }

  failed(id: string): void {
    this.#sql.exec("UPDATE recordings SET tries = tries + 1 WHERE id = ?", id);
  }

  lost(id: string): void {
    this.#sql.exec("UPDATE recordings SET state = 'lost' WHERE id = ?", id);
  }

  /** R2 has all of it. */
  forget(id: string): void {
    this.#bytesHeld -= this.#number(
      "SELECT coalesce(sum(length(bytes)), 0) AS n FROM recording_chunks WHERE id = ?",
      id,
    );
    this.#sql.exec("DELETE FROM recording_chunks WHERE id = ?", id);
    this.#sql.exec("DELETE FROM recordings WHERE id = ?", id);
  }

  #first<T extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): T | undefined {
    return this.#sql.exec<T>(query, ...bindings).toArray()[0];
  }

  #number(query: string, ...bindings: SqlStorageValue[]): number {
    return this.#first<{ n: number }>(query, ...bindings)?.n ?? 0;
  }
}

const SELECT = `SELECT id, state, facts, started_at, first_at, upload_id, etags,
  max(last_at, coalesce((SELECT max(at) FROM recording_chunks WHERE recording_chunks.id = recordings.id), 0)) AS last_at
  FROM recordings`;

function read(row: Row): SpooledRecording {
  return { ...row, facts: JSON.parse(row.facts), etags: JSON.parse(row.etags) };
}
