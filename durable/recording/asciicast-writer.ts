import {
  type CastMetadata,
  DEFAULT_SIZE,
  headerLine,
  LARGEST_SIZE,
  markerLine,
  markLine,
  noticeLine,
  playableSize,
  resizeLine,
  type TerminalSize,
} from "./cast-lines.ts";
import { ControlScanner } from "./control-scanner.ts";
import { JsonEscaper } from "./json-escaper.ts";
import { CHUNK_BYTES, inUnits, MERGE_BYTES, MERGE_MS } from "./policy.ts";

export type CastStream = "stdout" | "stderr" | "stdin";

/** Takes whole lines of the cast, in order. The bytes are valid during the call only. `now`: Unix ms. */
export type CastSink = (lines: Uint8Array, now: number) => void;

/** How a writer differs from that of a whole recording. */
export interface CastOptions {
  /** When the cast's time starts, ms since the epoch. Default: with the first byte. */
  readonly startedAt?: number | undefined;
  /** The terminal's size at its start. */
  readonly size?: TerminalSize | undefined;
  /** It goes on after another cast, whose header holds. */
  readonly withoutHeader?: boolean;
  /** The sink is given at most so many bytes at once. */
  readonly chunkBytes?: number;
}

/** An event whose text is not terminated in the buffer yet. */
interface OpenEvent {
  readonly stream: CastStream;
  readonly at: number;
  readonly seconds: number;
  /** Where it begins in the buffer, and where its text does. */
  start: number;
  textStart: number;
  /** The control sequences that are marked before it. */
  controls: Set<string> | undefined;
}

/** Input is processed in slices of this size, which bounds the memory that one large message needs. */
const SLICE_BYTES = 4 * 1024;
/** Room for an event's beginning and end, and the line before it. */
const FRAME_BYTES = 256;
/** A line about a size is shorter. */
const RESIZE_BYTES = 128;
/**
 * Output leaves this much of the cast's largest size: for marks about the last output, for characters that
 * stay incomplete, for the notice that the recording stops, and for how the session ended. The last two may
 * come from a later life of the object.
 */
const ENDING_BYTES = 8 * 1024;
/** The marks of one slice: each control sequence once. */
const MARKS_BYTES = 4 * 1024;
/** How often the same control sequence is marked in one cast. */
const MAX_MARKS = 50;
const FIRST_BUFFER_BYTES = 8 * 1024;

const encoder = new TextEncoder();
const EVENT_END = encoder.encode('"]\n');
const STDERR_END = encoder.encode('\\u001b[39m"]\n');

/**
 * Writes an asciicast of a session: bytes of its streams in, lines of text out. It has no clock: every call
 * brings the time, in ms since the epoch.
 *
 * - Time starts with the first byte. The header waits for it, and has the terminal's size as it is known by
 *   then.
 * - stderr is shown in red, so that any player tells it apart. A program can write the same escape sequences
 *   to stdout, so a line `[time, "e", "stderr"]` precedes each such event: players skip unknown event codes,
 *   and no program can write one.
 * - Without a terminal, no driver in the pod turns a line feed into CR LF, and a player would draw stairs. So
 *   every LF becomes CR LF here, also one after a CR: turning each CR LF back gives exactly the program's
 *   text.
 * - Each stream has its own decoder: a character in two frames stays one, whatever came between on another
 *   stream.
 * - Output stays as it is, also where it acts on the terminal of whoever plays it. A line
 *   `[time, "e", "control OSC 52"]` precedes the event in which such a control sequence ends.
 * - Resizes with nothing between them count as one within MERGE_MS: dragging a window sends hundreds.
 *
 * No cast exceeds its largest size, whichever lines it consists of.
 *
 * Memory: one buffer of CHUNK_BYTES while output flows.
 */
export class AsciicastWriter {
  readonly #metadata: CastMetadata;
  readonly #maxBytes: number;
  readonly #chunkBytes: number;
  readonly #sink: CastSink;
  readonly #escapers = new Map<CastStream, JsonEscaper>();
  readonly #scanners = { stdout: new ControlScanner(), stderr: new ControlScanner() };
  /** How often each control sequence was marked. Their names are a fixed set. */
  readonly #marks = new Map<string, number>();
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  #used = 0;
  /** Bytes that the sink has taken. */
  #written = 0;
  /** As the cast has it. */
  #size: TerminalSize | undefined;
  /** The header has it. */
  #firstSize: TerminalSize | undefined;
  /** Not in the cast yet. `since`: when the first of several came, `at`: when this one came. */
  #nextSize: { readonly size: TerminalSize; readonly since: number; readonly at: number } | undefined;
  /** What the header takes, until it is written. */
  #headerBytes: number;
  #hasHeader = false;
  #firstAt: number | undefined;
  #lastAt = 0;
  #open: OpenEvent | undefined;
  #stopped: string | undefined;

  constructor(
    metadata: CastMetadata,
    maxBytes: number,
    sink: CastSink,
    { startedAt, size, withoutHeader = false, chunkBytes = CHUNK_BYTES }: CastOptions = {},
  ) {
    this.#firstAt = startedAt;
    this.#hasHeader = withoutHeader;
    this.#firstSize = this.#size = size && playableSize(size);
    this.#chunkBytes = chunkBytes;
    this.#metadata = metadata;
    this.#maxBytes = maxBytes;
    this.#sink = sink;
    this.#headerBytes = withoutHeader
      ? 0
      : encoder.encode(headerLine(metadata, LARGEST_SIZE, Number.MAX_SAFE_INTEGER)).length;
  }

  /** Why the streams are no longer recorded, if so. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /** When the first byte came, ms since the epoch. */
  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  /** Bytes of the cast so far. */
  get bytes(): number {
    return this.#headerBytes + this.#written + this.#used;
  }

  get hasUnflushed(): boolean {
    return this.#used > 0 || this.#nextSize !== undefined;
  }

  /**
   * The lines that are finished and that the sink has not taken, without waiting for more of their event.
   *
   * @returns a view that is valid until the next call. Empty until the header is written, as `flush` does
   */
  finishedLines(now: number): Uint8Array {
    this.#addResize(now);
    this.#closeEvent();
    return this.#hasHeader ? this.#buffer.subarray(0, this.#used) : new Uint8Array(0);
  }

  write(stream: CastStream, bytes: Uint8Array, now: number): void {
    if (this.#stopped !== undefined || bytes.length === 0) return;
    this.#addResize(now);
    const escaper = this.#escaperOf(stream);
    for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
      const slice = bytes.subarray(from, from + SLICE_BYTES);
      const room = JsonEscaper.room(slice.length) + FRAME_BYTES;
      if (this.#used + room + MARKS_BYTES > this.#chunkBytes) this.flush(now);
      // The sink may have stopped the recording.
      if (this.#stopped !== undefined || !this.#hasSpace(room, now)) return;
      this.#makeRoom(room);
      const event = this.#openEvent(stream, now);
      this.#used = escaper.push(slice, this.#buffer, this.#used);
      if (stream !== "stdin") this.#markControls(event, this.#scanners[stream], escaper, slice);
    }
  }

  resize(size: TerminalSize, now: number): void {
    if (this.#stopped !== undefined) return;
    const next = playableSize(size);
    // The header waits for the first byte, and then for the first size.
    if (this.#firstAt === undefined || (this.#firstSize === undefined && !this.#hasHeader)) {
      this.#firstSize = this.#size = next;
      return;
    }
    if (this.#nextSize && now - this.#nextSize.since >= MERGE_MS) this.#addResize(now);
    const since = this.#nextSize?.since ?? now;
    const isKnown = this.#size?.columns === next.columns && this.#size.rows === next.rows;
    this.#nextSize = isKnown ? undefined : { size: next, since, at: now };
  }

  /** Writes a notice on the terminal, between two events. */
  notice(text: string, now: number): void {
    if (this.#stopped === undefined) this.#addLine(noticeLine(this.#seconds(now), text));
  }

  /** Writes `notice` into the cast, as a marker and on the terminal, and stops recording the streams. */
  stop(notice: string, now: number): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = notice;
    this.#nextSize = undefined;
    this.#addLine(markerLine(this.#seconds(now), notice));
    this.#addLine(noticeLine(this.#seconds(now), notice));
  }

  /** The session is over. @param label of the cast's last marker */
  end(label: string, now: number): void {
    this.#addResize(now);
    if (this.#stopped === undefined) {
      for (const [stream, escaper] of this.#escapers) this.#finishStream(stream, escaper, now);
    }
    this.#addLine(markerLine(this.#seconds(now), label));
    this.flush(now);
    // A session that waits for a slow client to read the rest still holds this writer.
    this.#buffer = new Uint8Array(0);
  }

  /** Gives the sink everything so far, except bytes that wait for the rest of their character. */
  flush(now: number): void {
    this.#addResize(now);
    this.#closeEvent();
    if (this.#used === 0) return;
    if (!this.#hasHeader) this.#writeHeader(now);
    const lines = this.#buffer.subarray(0, this.#used);
    this.#written += this.#used;
    this.#used = 0;
    this.#sink(lines, now);
    // A quiet session needs no large buffer.
    if (this.#used === 0 && lines.length < FIRST_BUFFER_BYTES && this.#buffer.length > FIRST_BUFFER_BYTES) {
      this.#buffer = new Uint8Array(FIRST_BUFFER_BYTES);
    }
  }

  #writeHeader(now: number): void {
    const header = encoder.encode(headerLine(this.#metadata, this.#firstSize ?? DEFAULT_SIZE, this.#firstAt ?? now));
    this.#hasHeader = true;
    this.#headerBytes = 0;
    this.#written += header.length;
    this.#sink(header, now);
  }

  #escaperOf(stream: CastStream): JsonEscaper {
    const known = this.#escapers.get(stream);
    if (known) return known;
    const escaper = new JsonEscaper(stream !== "stdin" && !this.#metadata.tty);
    this.#escapers.set(stream, escaper);
    return escaper;
  }

  /** @returns whether so many bytes fit. Where they do not, the recording stops. */
  #hasSpace(bytes: number, now: number): boolean {
    if (this.bytes + bytes + ENDING_BYTES <= this.#maxBytes) return true;
    this.stop(`recording stopped here: it reached the largest size allowed, ${inUnits(this.#maxBytes)}`, now);
    return false;
  }

  #addResize(now: number): void {
    if (!this.#nextSize || !this.#hasSpace(RESIZE_BYTES, now)) return;
    const { size, at } = this.#nextSize;
    this.#nextSize = undefined;
    this.#size = size;
    this.#addLine(resizeLine(this.#seconds(at), size));
  }

  /**
   * Marks the control sequences that end in `slice`, before the event that has it. Once for each event, and
   * so often in a cast: whoever repeats one a million times must not fill it.
   */
  #markControls(event: OpenEvent, scanner: ControlScanner, escaper: JsonEscaper, slice: Uint8Array): void {
    if (!scanner.isWithin && !escaper.hasControls) return;
    for (const name of scanner.scan(slice)) {
      const count = (this.#marks.get(name) ?? 0) + 1;
      if (count > MAX_MARKS || event.controls?.has(name)) continue;
      this.#marks.set(name, count);
      event.controls ??= new Set();
      event.controls.add(name);
      const last = count === MAX_MARKS ? ", the last one that is marked" : "";
      this.#insertBefore(event, markLine(event.seconds, `control ${name}${last}`));
    }
  }

  #finishStream(stream: CastStream, escaper: JsonEscaper, now: number): void {
    this.#makeRoom(JsonEscaper.room(0) + FRAME_BYTES);
    this.#openEvent(stream, now);
    this.#used = escaper.finish(this.#buffer, this.#used);
  }

  /** @returns the event that more of the stream belongs to */
  #openEvent(stream: CastStream, now: number): OpenEvent {
    const open = this.#open;
    if (open) {
      const isFull = this.#used - open.textStart >= MERGE_BYTES;
      if (open.stream === stream && now - open.at < MERGE_MS && !isFull) return open;
      this.#closeEvent();
    }
    const start = this.#used;
    const seconds = this.#seconds(now);
    if (stream === "stdin") this.#put(`[${seconds},"i","`);
    else if (stream === "stdout") this.#put(`[${seconds},"o","`);
    else this.#put(`${markLine(seconds, "stderr")}[${seconds},"o","\\u001b[31m`);
    this.#open = { stream, at: now, seconds, start, textStart: this.#used, controls: undefined };
    return this.#open;
  }

  #insertBefore(event: OpenEvent, text: string): void {
    const line = encoder.encode(text);
    this.#makeRoom(line.length);
    this.#buffer.copyWithin(event.start + line.length, event.start, this.#used);
    this.#buffer.set(line, event.start);
    this.#used += line.length;
    event.start += line.length;
    event.textStart += line.length;
  }

  #closeEvent(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    if (this.#used === open.textStart) {
      // Only the first bytes of a character: the event comes with the rest.
      this.#used = open.start;
      return;
    }
    const end = open.stream === "stderr" ? STDERR_END : EVENT_END;
    this.#buffer.set(end, this.#used);
    this.#used += end.length;
  }

  #addLine(text: string): void {
    this.#closeEvent();
    this.#makeRoom(text.length * 3);
    this.#put(text);
  }

  #put(text: string): void {
    this.#used += encoder.encodeInto(text, this.#buffer.subarray(this.#used)).written;
  }

  /** Leaves FRAME_BYTES free, so that the end of an open event fits too. */
  #makeRoom(bytes: number): void {
    const wanted = this.#used + bytes + FRAME_BYTES;
    if (wanted <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(wanted, Math.min(this.#chunkBytes, this.#buffer.length * 4)));
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }

  /** Since the first byte. Never less than before, because the wall clock may be set back. */
  #seconds(now: number): number {
    this.#firstAt ??= now;
    this.#lastAt = Math.max(this.#lastAt, now - this.#firstAt);
    return this.#lastAt / 1000;
  }
}
