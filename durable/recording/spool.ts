import type { CastMetadata } from "./cast-lines.ts";
import { CHUNK_BYTES, PART_BYTES } from "./policy.ts";

/** A recording that R2 does not have as a whole yet. */
export interface SpooledRecording {
  readonly sessionId: string;
  /** Finds its chunks, see `chunkPosition`. */
  readonly number: number;
  /** `lost`: R2 no longer knows the upload. The rest of the recording stays here. */
  readonly state: "open" | "ended" | "lost";
  readonly metadata: CastMetadata;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** Bytes of the whole cast; null until it has ended. */
  readonly byteLength: number | null;
  /** When the cast's time starts, ms since the epoch; null before its first byte. */
  readonly castStartedAt: number | null;
  /** ms since the epoch. */
  readonly lastWrittenAt: number;
  /** Why the cast ends before the session did, if so. */
  readonly stopped: StoppedRecording | null;
  readonly uploadId: string | null;
  /** The etags of the parts that R2 has: part n is at n - 1. */
  readonly partEtags: readonly string[];
}

export interface StoppedRecording {
  readonly state: "capped" | "failed";
  readonly reason: string;
}

type Row = Record<string, SqlStorageValue> & {
  session_id: string;
  recording_number: number;
  state: SpooledRecording["state"];
  metadata: string;
  started_at: number;
  cast_started_at: number | null;
  last_written_at: number;
  byte_length: number | null;
  stopped: string | null;
  upload_id: string | null;
  part_etags: string;
};

const POSITIONS_PER_RECORDING = 2 ** 32;
/** The largest cast. The bytes of a larger one would have the positions of the next recording. */
export const MAX_CAST_BYTES = POSITIONS_PER_RECORDING;
/** Positions are integers that JavaScript represents exactly. */
const MAX_RECORDINGS = Number.MAX_SAFE_INTEGER / POSITIONS_PER_RECORDING;

/**
 * The primary key of a chunk: the recording's number, and the offset in the cast where the chunk starts.
 *
 * One integer, because a second index would cost a billed row every second, and because SQLite reads whole
 * blobs to compare keys of several columns.
 */
function chunkPosition(recordingNumber: number, offset: number): number {
  return recordingNumber * POSITIONS_PER_RECORDING + offset;
}

/** How many waiting recordings are in memory at a time. */
const WAITING_PAGE = 100;

const SELECT = `SELECT session_id, recording_number, state, metadata, started_at, cast_started_at, byte_length,
  stopped, upload_id, part_etags,
  max(last_written_at, coalesce((SELECT written_at FROM recording_chunks
    WHERE position >= recording_number * ${POSITIONS_PER_RECORDING}
      AND position < (recording_number + 1) * ${POSITIONS_PER_RECORDING}
    ORDER BY position DESC LIMIT 1), 0)) AS last_written_at
  FROM recordings`;

/**
 * Recordings that wait for R2, in the object's own SQLite: chunks of the casts, and the progress of each
 * upload. The platform makes each method atomic.
 *
 * No chunk crosses the border of a part, so a part is a run of whole chunks and is uploaded as such.
 */
export class Spool {
  readonly #sql: SqlStorage;
  #bytesHeld: number;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#bytesHeld = this.#number("SELECT coalesce(sum(length(bytes)), 0) AS n FROM recording_chunks");
  }

  /** Bytes of all recordings together that R2 does not have. */
  get bytesHeld(): number {
    return this.#bytesHeld;
  }

  /**
   * @returns the recording's number
   * @throws where there are too many recordings
   */
  begin(metadata: CastMetadata, now: number): number {
    const number = this.#freeNumber();
    this.#sql.exec(
      `INSERT INTO recordings (session_id, recording_number, state, metadata, started_at, last_written_at)
       VALUES (?, ?, 'open', ?, ?, ?)`,
      metadata.sessionId,
      number,
      JSON.stringify(metadata),
      now,
      now,
    );
    return number;
  }

  /** Keeps the cast's first line for readers who come after the first part has gone to R2. */
  setHeader(sessionId: string, headerLine: string, castStartedAt: number): void {
    this.#sql.exec(
      "UPDATE recordings SET header_line = ?, cast_started_at = ? WHERE session_id = ?",
      headerLine,
      castStartedAt,
      sessionId,
    );
  }

  /** No more of the session is recorded. */
  setStopped(sessionId: string, stopped: StoppedRecording): void {
    this.#sql.exec("UPDATE recordings SET stopped = ? WHERE session_id = ?", JSON.stringify(stopped), sessionId);
  }

  header(sessionId: string): string | undefined {
    const row = this.#first<{ header_line: string | null }>(
      "SELECT header_line FROM recordings WHERE session_id = ?",
      sessionId,
    );
    return row?.header_line ?? undefined;
  }

  /** @returns whether a part is full, so that there is something to upload */
  append(number: number, start: number, bytes: Uint8Array, now: number): boolean {
    if (start + bytes.length > MAX_CAST_BYTES) throw new RangeError("the recording is too large to be stored");
    let filledPart = false;
    for (let from = 0; from < bytes.length; ) {
      const at = start + from;
      const piece = bytes.subarray(from, from + Math.min(CHUNK_BYTES, PART_BYTES - (at % PART_BYTES)));
      // OR REPLACE: after a failure within an append, the next one begins at the same offset.
      this.#sql.exec(
        "INSERT OR REPLACE INTO recording_chunks (position, written_at, bytes) VALUES (?, ?, ?)",
        chunkPosition(number, at),
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
  end(sessionId: string): void {
    const recording = this.find(sessionId);
    if (!recording) return;
    this.#sql.exec(
      "UPDATE recordings SET state = 'ended', byte_length = ? WHERE session_id = ?",
      this.byteLength(recording),
      sessionId,
    );
  }

  find(sessionId: string): SpooledRecording | undefined {
    const row = this.#first<Row>(`${SELECT} WHERE session_id = ?`, sessionId);
    return row && readRow(row);
  }

  /** Whether any recording has, or will have, something to upload. */
  get hasWaiting(): boolean {
    return this.#first("SELECT 1 FROM recordings WHERE state <> 'lost' LIMIT 1") !== undefined;
  }

  /** The sessions of those recordings. What failed most often comes last. */
  *waiting(): Generator<string> {
    let [failures, sessionId] = [-1, ""];
    // In pages, because an outage of R2 may leave any number of them.
    for (;;) {
      const page = this.#sql
        .exec<{ session_id: string; failed_uploads: number }>(
          `SELECT session_id, failed_uploads FROM recordings
           WHERE state <> 'lost' AND (failed_uploads, session_id) > (?, ?)
           ORDER BY failed_uploads, session_id LIMIT ${WAITING_PAGE}`,
          failures,
          sessionId,
        )
        .toArray();
      for (const row of page) {
        [failures, sessionId] = [row.failed_uploads, row.session_id];
        yield sessionId;
      }
      if (page.length < WAITING_PAGE) return;
    }
  }

  /** At start: recordings that an earlier life of the object left without an end. */
  open(): SpooledRecording[] {
    return this.#sql.exec<Row>(`${SELECT} WHERE state = 'open'`).toArray().map(readRow);
  }

  /** Bytes of the cast so far, which is where the next byte goes. */
  byteLength({ number, partEtags, byteLength }: SpooledRecording): number {
    if (byteLength !== null) return byteLength;
    const last = this.#first<{ position: number; length: number }>(
      `SELECT position, length(bytes) AS length FROM recording_chunks WHERE position >= ? AND position < ?
       ORDER BY position DESC LIMIT 1`,
      chunkPosition(number, 0),
      chunkPosition(number + 1, 0),
    );
    return last ? last.position - chunkPosition(number, 0) + last.length : partEtags.length * PART_BYTES;
  }

  /** Reads from `start` on, at most `length` bytes. */
  bytes(recording: SpooledRecording, start: number, length: number): Uint8Array<ArrayBuffer> {
    const { number } = recording;
    // Allocates no more than there is: callers ask for a whole part, and most recordings are a few KiB.
    const wanted = Math.max(0, Math.min(length, this.byteLength(recording) - start));
    // The chunk that has `start` may begin before it, but no more than a chunk's size.
    const chunks = this.#sql.exec<{ position: number; bytes: ArrayBuffer }>(
      "SELECT position, bytes FROM recording_chunks WHERE position > ? AND position < ? ORDER BY position",
      chunkPosition(number, Math.max(-1, start - CHUNK_BYTES)),
      chunkPosition(number, start + wanted),
    );
    const joined = new Uint8Array(wanted);
    let end = 0;
    for (const chunk of chunks) {
      const chunkStart = chunk.position - chunkPosition(number, 0);
      const skipped = Math.max(0, start - chunkStart);
      const target = Math.max(0, chunkStart - start);
      const piece = new Uint8Array(chunk.bytes).subarray(skipped, skipped + wanted - target);
      joined.set(piece, target);
      end = target + piece.length;
    }
    return joined.subarray(0, end);
  }

  /** The same as a stream that reads no more than a chunk ahead of its reader. R2 requires a known length. */
  stream(recording: SpooledRecording, start: number, length: number): ReadableStream {
    const end = Math.min(start + length, this.byteLength(recording));
    let at = start;
    const chunks = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          const bytes = this.bytes(recording, at, Math.min(CHUNK_BYTES, end - at));
          at += bytes.length;
          if (bytes.length > 0) controller.enqueue(bytes);
          else controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    return chunks.pipeThrough(new FixedLengthStream(end - start));
  }

  setUpload(sessionId: string, uploadId: string): void {
    this.#sql.exec("UPDATE recordings SET upload_id = ? WHERE session_id = ?", uploadId, sessionId);
  }

  /** R2 has the next part: removes its chunks. */
  partUploaded({ sessionId, number, partEtags, lastWrittenAt }: SpooledRecording, etag: string): void {
    const from = chunkPosition(number, partEtags.length * PART_BYTES);
    const removedAt = this.#removeChunks(from, from + PART_BYTES);
    this.#sql.exec(
      "UPDATE recordings SET part_etags = ?, last_written_at = ?, failed_uploads = 0 WHERE session_id = ?",
      JSON.stringify([...partEtags, etag]),
      Math.max(lastWrittenAt, removedAt),
      sessionId,
    );
  }

  uploadFailed(sessionId: string): void {
    this.#sql.exec("UPDATE recordings SET failed_uploads = failed_uploads + 1 WHERE session_id = ?", sessionId);
  }

  uploadLost(sessionId: string): void {
    this.#sql.exec("UPDATE recordings SET state = 'lost' WHERE session_id = ?", sessionId);
  }

  /** R2 has all of it. */
  remove({ sessionId, number }: SpooledRecording): void {
    this.#removeChunks(chunkPosition(number, 0), chunkPosition(number + 1, 0));
    this.#sql.exec("DELETE FROM recordings WHERE session_id = ?", sessionId);
  }

  /**
   * The lowest number that no recording has. Not the highest plus one: where recordings always overlap, as
   * those of a busy service account do, that grows until positions are no exact integers.
   */
  #freeNumber(): number {
    let number = 0;
    const taken = this.#sql.exec<{ n: number }>("SELECT recording_number AS n FROM recordings ORDER BY 1");
    for (const { n } of taken) {
      if (n !== number) break;
      number++;
    }
    if (number >= MAX_RECORDINGS) throw new RangeError("too many recordings wait for R2");
    return number;
  }

  /** @returns when the last of the removed chunks was written, 0 if there was none */
  #removeChunks(from: number, to: number): number {
    const removed = this.#first<{ bytes: number; at: number }>(
      `SELECT coalesce(sum(length(bytes)), 0) AS bytes, coalesce(max(written_at), 0) AS at FROM recording_chunks
       WHERE position >= ? AND position < ?`,
      from,
      to,
    );
    this.#sql.exec("DELETE FROM recording_chunks WHERE position >= ? AND position < ?", from, to);
    this.#bytesHeld -= removed?.bytes ?? 0;
    return removed?.at ?? 0;
  }

  #first<T extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): T | undefined {
    return this.#sql.exec<T>(query, ...bindings).toArray()[0];
  }

  #number(query: string, ...bindings: SqlStorageValue[]): number {
    return this.#first<{ n: number }>(query, ...bindings)?.n ?? 0;
  }
}

function readRow(row: Row): SpooledRecording {
  return {
    sessionId: row.session_id,
    number: row.recording_number,
    state: row.state,
    metadata: JSON.parse(row.metadata),
    startedAt: row.started_at,
    byteLength: row.byte_length,
    stopped: row.stopped === null ? null : JSON.parse(row.stopped),
    castStartedAt: row.cast_started_at,
    lastWrittenAt: row.last_written_at,
    uploadId: row.upload_id,
    partEtags: JSON.parse(row.part_etags),
  };
}
