import { concatBytes } from "../../common/bytes.ts";
import type { RecordingBlock } from "../../contract/recording.ts";
import type { Chunk } from "../protocols/chunk.ts";
import { AsciicastWriter } from "../recording/asciicast-writer.ts";
import type { CastMetadata, TerminalSize } from "../recording/cast-lines.ts";

const LINE_FEED = 0x0a;
/** An event of a cast is shorter, however much of it is escaped. */
const LONGEST_LINES_BYTES = 512 * 1024;
/** What an unrecorded cast holds in memory for watchers. */
const UNRECORDED_BYTES = 256 * 1024;

/** The recording of a live session, as `LiveRecording` is one. */
export interface WatchedRecording {
  /** Whether no more of the session is recorded, although it goes on. */
  readonly isStopped: boolean;
  /** When the cast's time started, ms since the epoch; undefined before its first byte. */
  readonly startedAt: number | undefined;
  /** Bytes of the cast that are stored. */
  readonly bytesStored: number;
  /** The lines that follow them. @returns a view that is valid until the next call */
  unstoredLines(now: number): Uint8Array;
  fromClient(chunk: Chunk, now: number): void;
  fromUpstream(chunk: Chunk, now: number): void;
  flush(now: number): void;
}

/**
 * Reads whole lines that are stored, from an offset in the cast on.
 *
 * @param length about how many bytes; more where a single line is longer
 * @returns null where the recording has left the object
 */
export type ReadStored = (offset: number, length: number) => RecordingBlock | null;

/** Whole lines of a live cast. */
export interface SourceBlock {
  /** Where they begin: after the asked offset where what was there is no longer held. */
  readonly start: number;
  /** The memory is the reader's. */
  readonly bytes: Uint8Array;
  readonly next: number;
}

/** The lines of a live session's cast, each at its offset. Offsets that it gives are borders of lines. */
export interface CastSource {
  /** Where the next line will be. */
  end(now: number): number;
  /**
   * @param length about how many bytes, at least one line
   * @returns null where nothing is held from that offset on
   */
  read(offset: number, length: number, now: number): SourceBlock | null;
  /** A border of lines with at least `length` bytes behind it, where so many are held. */
  nearEnd(length: number, now: number): number;
}

/** The recording of a session: from SQLite, and what is not stored yet from memory. */
export class RecordedCast implements CastSource {
  readonly #recording: WatchedRecording;
  readonly #readStored: ReadStored;
  /** Set once watchers go on with another source, or the session has ended. */
  #end: number | undefined;

  constructor(recording: WatchedRecording, readStored: ReadStored) {
    this.#recording = recording;
    this.#readStored = readStored;
  }

  end(now: number): number {
    if (this.#end !== undefined) return this.#end;
    // In this order: reading the lines may store the header.
    const { length } = this.#recording.unstoredLines(now);
    return this.#recording.bytesStored + length;
  }

  read(offset: number, length: number, now: number): SourceBlock | null {
    const lines = this.#recording.unstoredLines(now);
    const { bytesStored } = this.#recording;
    if (offset >= bytesStored) return blockOf(lines, bytesStored, offset, length);
    const block = this.#readStored(offset, length);
    return block && { start: offset, bytes: block.bytes, next: block.next };
  }

  nearEnd(length: number, now: number): number {
    const lines = this.#recording.unstoredLines(now);
    const { bytesStored } = this.#recording;
    if (lines.length >= length) return bytesStored + borderNearEnd(lines, length);
    const start = Math.max(0, bytesStored - LONGEST_LINES_BYTES);
    const stored = this.#readStored(start, LONGEST_LINES_BYTES);
    // What R2 has cannot be read, and has a notice in its place.
    if (!stored || stored.next - start !== stored.bytes.length) return bytesStored;
    const border = borderNearEnd(stored.bytes, length - lines.length);
    return border > 0 || start === 0 ? start + border : bytesStored;
  }

  /** Nothing that comes from now on is read from here. */
  close(now: number): void {
    this.#end ??= this.end(now);
  }
}

/** What nobody records, from when somebody watches it. Only the last lines are held, in memory. */
export class UnrecordedCast implements CastSource {
  readonly writer: AsciicastWriter;
  /** Bytes that are no longer held. */
  #dropped = 0;

  /** @param startedAt when the cast's time starts, ms since the epoch */
  constructor(metadata: CastMetadata, size: TerminalSize | undefined, startedAt: number) {
    const drop = (lines: Uint8Array) => {
      this.#dropped += lines.length;
    };
    const options = { startedAt, size, chunkBytes: UNRECORDED_BYTES, withoutHeader: true };
    this.writer = new AsciicastWriter(metadata, Number.MAX_SAFE_INTEGER, drop, options);
  }

  end(now: number): number {
    const { length } = this.writer.finishedLines(now);
    return this.#dropped + length;
  }

  read(offset: number, length: number, now: number): SourceBlock | null {
    const lines = this.writer.finishedLines(now);
    return blockOf(lines, this.#dropped, Math.max(offset, this.#dropped), length);
  }

  nearEnd(length: number, now: number): number {
    const lines = this.writer.finishedLines(now);
    return this.#dropped + borderNearEnd(lines, length);
  }

  /** Lets go of what every watcher has. */
  drop(now: number): void {
    this.writer.flush(now);
  }
}

function blockOf(lines: Uint8Array, base: number, offset: number, length: number): SourceBlock {
  const rest = lines.subarray(offset - base);
  const border = rest.length <= length ? rest.length : rest.lastIndexOf(LINE_FEED, length - 1) + 1;
  const end = border > 0 ? border : rest.indexOf(LINE_FEED) + 1;
  return { start: offset, bytes: concatBytes([rest.subarray(0, end)]), next: offset + end };
}

/** The last border of lines that leaves at least `length` bytes; 0 where there is none. */
function borderNearEnd(lines: Uint8Array, length: number): number {
  return lines.length <= length ? 0 : lines.lastIndexOf(LINE_FEED, lines.length - length - 1) + 1;
}
