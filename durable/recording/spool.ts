import type { CastFacts } from "./cast-lines.ts";
import { CHUNK_BYTES, PART_BYTES } from "./policy.ts";

/** A recording that R2 does not have as a whole yet. */
export interface SpooledRecording {
  readonly id: string;
  /** Its chunks are found by it. */
  readonly number: number;
  /** `lost`: R2 has forgotten the upload; what is here is all there is, and stays here. */
  readonly state: "open" | "ended" | "lost";
  readonly facts: CastFacts;
  readonly started_at: number;
  /** Of the whole cast, once it has ended. */
  readonly size: number | null;
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
  number: number;
  state: SpooledRecording["state"];
  facts: string;
  started_at: number;
  size: number | null;
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
    // A chunk's place is its recording's number and the byte where it starts. One integer: a second index would be a second
    // billed row every second, and with a key of text and number SQLite reads whole blobs to compare keys.
    sql.exec(`
      CREATE TABLE IF NOT EXISTS recordings (
        id TEXT PRIMARY KEY, number INTEGER NOT NULL, state TEXT NOT NULL, facts TEXT NOT NULL, started_at INTEGER NOT NULL, size INTEGER, header TEXT,
        first_at INTEGER, last_at INTEGER NOT NULL, upload_id TEXT, etags TEXT NOT NULL DEFAULT '[]', tries INTEGER NOT NULL DEFAULT 0
      ) WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS recording_chunks (
        place INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes BLOB NOT NULL
      );`);
    this.#bytesHeld = this.#number("SELECT coalesce(sum(length(bytes)), 0) AS n FROM recording_chunks");
  }

  /** Bytes of all recordings together that R2 does not have. */
  get bytesHeld(): number {
    return this.#bytesHeld;
  }

  /** @returns the recording's number */
  begin(facts: CastFacts, now: number): number {
    const number = this.#number("SELECT coalesce(max(number), -1) + 1 AS n FROM recordings");
    this.#sql.exec(
      "INSERT INTO recordings (id, number, state, facts, started_at, last_at) VALUES (?, ?, 'open', ?, ?, ?)",
      facts.sessionId,
      number,
      JSON.stringify(facts),
      now,
      now,
    );
    return number;
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
  append(number: number, start: number, bytes: Uint8Array, now: number): boolean {
    let filledPart = false;
    for (let from = 0; from < bytes.length; ) {
      const at = start + from;
      const piece = bytes.subarray(from, from + Math.min(CHUNK_BYTES, PART_BYTES - (at % PART_BYTES)));
      // OR REPLACE: after a failure in the middle of an append the next one begins at the same place.
      this.#sql.exec(
        "INSERT OR REPLACE INTO recording_chunks (place, at, bytes) VALUES (?, ?, ?)",
        place(number, at),
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
    const recording = this.find(id);
    if (recording)
      this.#sql.exec("UPDATE recordings SET state = 'ended', size = ? WHERE id = ?", this.size(recording), id);
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
  size({ number, etags, size }: SpooledRecording): number {
    if (size !== null) return size;
    const last = this.#first<{ place: number; length: number }>(
      "SELECT place, length(bytes) AS length FROM recording_chunks WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1",
      place(number, 0),
      place(number + 1, 0),
    );
    return last ? last.place - place(number, 0) + last.length : etags.length * PART_BYTES;
  }

  /** The bytes from `start` on, at most `length` of them. */
  bytes(recording: SpooledRecording, start: number, length: number): Uint8Array<ArrayBuffer> {
    const { number } = recording;
    // No more than there is: most recordings are a few KiB, and this is asked for a whole part of each.
    const wanted = Math.max(0, Math.min(length, this.size(recording) - start));
    // The chunk that has `start` may begin before it, but no more than a chunk's size.
    const chunks = this.#sql.exec<{ place: number; bytes: ArrayBuffer }>(
      "SELECT place, bytes FROM recording_chunks WHERE place > ? AND place < ? ORDER BY place",
      place(number, Math.max(-1, start - CHUNK_BYTES)),
      place(number, start + wanted),
    );
    const joined = new Uint8Array(wanted);
    let end = 0;
    for (const chunk of chunks) {
      const chunkStart = chunk.place - place(number, 0);
      const skipped = Math.max(0, start - chunkStart);
      const target = Math.max(0, chunkStart - start);
      const piece = new Uint8Array(chunk.bytes).subarray(skipped, skipped + wanted - target);
      joined.set(piece, target);
      end = target + piece.length;
    }
    return joined.subarray(0, end);
  }

  setUpload(id: string, uploadId: string): void {
    this.#sql.exec("UPDATE recordings SET upload_id = ? WHERE id = ?", uploadId, id);
  }

  /** R2 has the next part: its bytes are not needed here any more. */
  partUploaded({ id, number, etags, last_at }: SpooledRecording, etag: string): void {
    const from = place(number, etags.length * PART_BYTES);
    const at = this.#drop(from, from + PART_BYTES);
    this.#sql.exec(
      "UPDATE recordings SET etags = ?, last_at = ?, tries = 0 WHERE id = ?",
      JSON.stringify([...etags, etag]),
      Math.max(last_at, at),
      id,
    );
  }

  failed(id: string): void {
    this.#sql.exec("UPDATE recordings SET tries = tries + 1 WHERE id = ?", id);
  }

  lost(id: string): void {
    this.#sql.exec("UPDATE recordings SET state = 'lost' WHERE id = ?", id);
  }

  /** R2 has all of it. */
  forget({ id, number }: SpooledRecording): void {
    this.#drop(place(number, 0), place(number + 1, 0));
    this.#sql.exec("DELETE FROM recordings WHERE id = ?", id);
  }

  /** @returns when the last of the dropped chunks was written, 0 where there was none */
  #drop(from: number, to: number): number {
    const gone = this.#first<{ n: number; at: number }>(
      `SELECT coalesce(sum(length(bytes)), 0) AS n, coalesce(max(at), 0) AS at FROM recording_chunks
       WHERE place >= ? AND place < ?`,
      from,
      to,
    );
    this.#sql.exec("DELETE FROM recording_chunks WHERE place >= ? AND place < ?", from, to);
    this.#bytesHeld -= gone?.n ?? 0;
    return gone?.at ?? 0;
  }

  #first<T extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): T | undefined {
    return this.#sql.exec<T>(query, ...bindings).toArray()[0];
  }

  #number(query: string, ...bindings: SqlStorageValue[]): number {
    return this.#first<{ n: number }>(query, ...bindings)?.n ?? 0;
  }
}

/** A cast is smaller than this, and both together are an integer that a JavaScript number can hold. */
const PLACES_PER_RECORDING = 2 ** 32;

function place(number: number, start: number): number {
  return number * PLACES_PER_RECORDING + start;
}

const SELECT = `SELECT id, number, state, facts, started_at, size, first_at, upload_id, etags,
  max(last_at, coalesce((SELECT at FROM recording_chunks
    WHERE place >= number * ${PLACES_PER_RECORDING} AND place < (number + 1) * ${PLACES_PER_RECORDING}
    ORDER BY place DESC LIMIT 1), 0)) AS last_at
  FROM recordings`;

function read(row: Row): SpooledRecording {
  return { ...row, facts: JSON.parse(row.facts), etags: JSON.parse(row.etags) };
}
