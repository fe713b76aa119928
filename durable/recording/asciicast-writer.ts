import {
  type CastFacts,
  DEFAULT_SIZE,
  headerLine,
  isTerminal,
  markerLine,
  noticeLine,
  resizeLine,
  type TerminalSize,
} from "./cast-lines.ts";
import { JsonEscaper } from "./json-escaper.ts";
import { CHUNK_BYTES, inUnits, MERGE_BYTES, MERGE_MS } from "./policy.ts";

export type CastStream = "stdout" | "stderr" | "stdin";

/** Takes whole lines of the cast, in order. The bytes are good during the call only. `now`: ms since the epoch. */
export type CastSink = (lines: Uint8Array, now: number) => void;

/** So much is worked on at a time: it bounds the memory that one large message can ask for. */
const SLICE_BYTES = 4 * 1024;
/** An event's beginning, its end and the mark before it. */
const FRAME_BYTES = 256;
const FIRST_BUFFER_BYTES = 8 * 1024;
const BUFFER_BYTES = CHUNK_BYTES + JsonEscaper.room(SLICE_BYTES) + FRAME_BYTES;

const encoder = new TextEncoder();
const EVENT_END = encoder.encode('"]\n');
const STDERR_END = encoder.encode('\\u001b[39m"]\n');

/**
 * Makes an asciicast of what flows through a session: bytes of its streams in, lines of text out. No clock: the time, in
 * ms since the epoch, comes with every call.
 *
 * - Time starts with the first byte. The header waits for it, and takes the terminal's size as it is known by then.
 * - stderr is output in red, so that any player shows it for what it is. Since a program can write the same escape
 *   sequences to stdout, a line `[time, "e", "stderr"]` goes before each such event: players skip event codes that they
 *   do not know, and no program can write one.
 * - Without a terminal there is no driver in the pod that makes CR LF of a line feed, and a player would draw stairs. So
 *   every LF becomes CR LF here, also one that has a CR before it: turning each CR LF back gives exactly the program's text.
 * - The streams are decoded each by itself: a character in two frames stays one, whatever came between on another stream.
 *
 * Memory: one buffer, of CHUNK_BYTES and a little, while output flows.
 */
export class AsciicastWriter {
  readonly #facts: CastFacts;
  readonly #maxBytes: number;
  readonly #sink: CastSink;
  readonly #escapers = new Map<CastStream, JsonEscaper>();
  #buffer = new Uint8Array(FIRST_BUFFER_BYTES);
  #used = 0;
  /** Bytes that the sink has. */
  #written = 0;
  #size: TerminalSize | undefined;
  #firstSize: TerminalSize | undefined;
  #hasHeader = false;
  #firstAt: number | undefined;
  #lastAt = 0;
  /** The event that is being added to; its text is open-ended in the buffer. */
  #open:
    | { readonly stream: CastStream; readonly at: number; readonly start: number; readonly textStart: number }
    | undefined;
  #stopped: string | undefined;

  constructor(facts: CastFacts, maxBytes: number, sink: CastSink) {
    this.#facts = facts;
    this.#maxBytes = maxBytes;
    this.#sink = sink;
  }

  /** Why nothing more of the streams is taken, if so. */
  get stopped(): string | undefined {
    return this.#stopped;
  }

  /** When the first byte came, ms since the epoch. */
  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  /** Bytes of the cast so far. */
  get bytes(): number {
    return this.#written + this.#used;
  }

  get hasUnflushed(): boolean {
    return this.#used > 0;
  }

  write(stream: CastStream, bytes: Uint8Array, now: number): void {
    if (this.#stopped !== undefined || bytes.length === 0) return;
    const escaper = this.#escaperOf(stream);
    // The sink may stop it on the way.
    for (let from = 0; from < bytes.length && this.#stopped === undefined; from += SLICE_BYTES) {
      const slice = bytes.subarray(from, from + SLICE_BYTES);
      const room = JsonEscaper.room(slice.length) + FRAME_BYTES;
      if (this.bytes + room > this.#maxBytes) {
        this.stop(`recording stopped here: it reached the largest size allowed, ${inUnits(this.#maxBytes)}`, now);
        return;
      }
      this.#makeRoom(room);
      this.#openEvent(stream, now);
      this.#used = escaper.push(slice, this.#buffer, this.#used);
      if (this.#used >= CHUNK_BYTES) this.flush(now);
    }
  }

  resize(size: TerminalSize, now: number): void {
    if (this.#stopped !== undefined) return;
    if (this.#size?.columns === size.columns && this.#size.rows === size.rows) return;
    const isFirst = this.#firstAt === undefined || (this.#firstSize === undefined && !this.#hasHeader);
    this.#size = size;
    if (isFirst) this.#firstSize = size;
    else this.#addLine(resizeLine(this.#seconds(now), size));
  }

  /** Says `words` in the cast, to tools and to whoever watches, and takes no more of the streams. */
  stop(words: string, now: number): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = words;
    this.#addLine(markerLine(this.#seconds(now), words));
    this.#addLine(noticeLine(this.#seconds(now), words));
  }

  /** The session is over. @param label of the cast's last marker */
  end(label: string, now: number): void {
    if (this.#stopped === undefined) {
      for (const [stream, escaper] of this.#escapers) this.#finishStream(stream, escaper, now);
    }
    this.#addLine(markerLine(this.#seconds(now), label));
    this.flush(now);
    // Whoever waits for a slow client to read the rest still holds this one.
    this.#buffer = new Uint8Array(0);
  }

  /** Gives the sink everything so far, but for bytes that wait for the rest of their character. */
  flush(now: number): void {
    this.#closeEvent();
    if (this.#used === 0) return;
    if (!this.#hasHeader) this.#writeHeader(now);
    const lines = this.#buffer.subarray(0, this.#used);
    this.#written += this.#used;
    this.#used = 0;
    this.#sink(lines, now);
    // A session that is quiet again needs no large buffer.
    if (this.#used === 0 && lines.length < FIRST_BUFFER_BYTES && this.#buffer.length > FIRST_BUFFER_BYTES) {
      this.#buffer = new Uint8Array(FIRST_BUFFER_BYTES);
    }
  }

  #writeHeader(now: number): void {
    const header = encoder.encode(headerLine(this.#facts, this.#firstSize ?? DEFAULT_SIZE, this.#firstAt ?? now));
    this.#hasHeader = true;
    this.#written += header.length;
    this.#sink(header, now);
  }

  #escaperOf(stream: CastStream): JsonEscaper {
    const known = this.#escapers.get(stream);
    if (known) return known;
    const escaper = new JsonEscaper(stream !== "stdin" && !isTerminal(this.#facts));
    this.#escapers.set(stream, escaper);
    return escaper;
  }

  #finishStream(stream: CastStream, escaper: JsonEscaper, now: number): void {
    this.#makeRoom(JsonEscaper.room(0) + FRAME_BYTES);
    this.#openEvent(stream, now);
    this.#used = escaper.finish(this.#buffer, this.#used);
  }

  #openEvent(stream: CastStream, now: number): void {
    const open = this.#open;
    if (open) {
      const isFull = this.#used - open.textStart >= MERGE_BYTES;
      if (open.stream === stream && now - open.at < MERGE_MS && !isFull) return;
      this.#closeEvent();
    }
    const start = this.#used;
    const seconds = this.#seconds(now);
    if (stream === "stdin") this.#put(`[${seconds},"i","`);
    else if (stream === "stdout") this.#put(`[${seconds},"o","`);
    else this.#put(`[${seconds},"e","stderr"]\n[${seconds},"o","\\u001b[31m`);
    this.#open = { stream, at: now, start, textStart: this.#used };
  }

  #closeEvent(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    if (this.#used === open.textStart) {
      // Nothing but a character's first bytes: the event comes with the rest.
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

  /** An open event's end fits too: FRAME_BYTES are never used up. */
  #makeRoom(bytes: number): void {
    const wanted = this.#used + bytes + FRAME_BYTES;
    if (wanted <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(wanted, Math.min(BUFFER_BYTES, this.#buffer.length * 4)));
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }

  /** Since the first byte. Never less than before: the clock of the wall may be set back. */
  #seconds(now: number): number {
    this.#firstAt ??= now;
    this.#lastAt = Math.max(this.#lastAt, now - this.#firstAt);
    return this.#lastAt / 1000;
  }
}
