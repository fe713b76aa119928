import { utf8Length } from "../../common/bytes.ts";
import { DEFAULT_SIZE, headerLine, noticeLine, resizeLine, type TerminalSize } from "../recording/cast-lines.ts";
import type { CastSource } from "./cast-source.ts";
import type { LiveCast } from "./live-cast.ts";
import type { ShownBlock } from "./shown-blocks.ts";
import { leftOutNotice } from "./shown-chunks.ts";
import { FULL_BYTES, type WatchSink } from "./watch-sink.ts";

/** A watcher who has the session so far, and is this far behind, is shown the present instead. */
const MAX_BEHIND_BYTES = 2 * 1024 * 1024;
/** What of the past is shown with it. */
const KEPT_BYTES = 64 * 1024;
/** A watcher is dropped who takes nothing for so long although something waits. */
export const MAX_STALL_MS = 30_000;
/** So often something is sent, because intermediaries cut connections that are silent. Players skip it. */
const ALIVE_MS = 25_000;

export interface WatcherParts {
  readonly cast: LiveCast;
  readonly sink: WatchSink;
  /** Reads a block as text. Watchers at the same place share it. */
  readonly read: (source: CastSource, offset: number, now: number) => ShownBlock | null;
  /** Seconds of the cast's time. */
  readonly seconds: (now: number) => number;
}

/** Where one watcher is in the cast of a session. What they have not been sent is not held for them. */
export class Watcher {
  readonly #parts: WatcherParts;
  /** Number of the source, and the offset in it. */
  #source = 0;
  #offset = 0;
  /** The session so far, as it was when the watch began. It is shown completely. */
  readonly #past: { readonly source: number; readonly offset: number };
  #shownSize: TerminalSize | undefined;
  #sentAt: number;
  #takenBytes = 0;
  #progressAt: number;

  constructor(parts: WatcherParts, sources: readonly CastSource[], now: number) {
    this.#parts = parts;
    this.#sentAt = this.#progressAt = now;
    const last = sources.length - 1;
    this.#past = { source: last, offset: sources[last]?.end(now) ?? 0 };
  }

  /** Begins with the header: asciinema-player takes a stream for over that has sent none within 5 s. */
  start(now: number): void {
    const { cast } = this.#parts;
    this.#shownSize = cast.size ?? DEFAULT_SIZE;
    this.#send(headerLine(cast.metadata, this.#shownSize, cast.startedAt(now)), now);
    if (cast.isRecorded) return;
    this.#offset = this.#past.offset;
    if (cast.hasScreen) this.notice("this session is not recorded: you see it from now on", now);
  }

  /** Shows a notice of Sallyport's to this watcher alone. */
  notice(text: string, now: number): void {
    this.#send(noticeLine(this.#parts.seconds(now), text), now);
  }

  /** Sends lines of Sallyport's. */
  sendLine(line: string, now: number): void {
    this.#send(line, now);
  }

  /** Whether there is nothing that this watcher lacks. */
  hasAll(sources: readonly CastSource[], now: number): boolean {
    const last = sources.length - 1;
    return this.#source >= last && this.#offset >= (sources[last]?.end(now) ?? 0);
  }

  /**
   * Sends the next block, if the watcher has room for it.
   *
   * @returns what was sent; undefined where nothing was
   */
  advance(sources: readonly CastSource[], now: number): ShownBlock | undefined {
    const { sink } = this.#parts;
    if (sink.unsentBytes >= FULL_BYTES) return undefined;
    for (;;) {
      const source = sources[this.#source];
      if (!source) return undefined;
      const end = source.end(now);
      if (this.#offset < end) {
        this.#catchUp(source, end, now);
        return this.#sendBlock(source, now);
      }
      if (this.#source >= sources.length - 1) return undefined;
      this.#source++;
      this.#offset = 0;
    }
  }

  /** To be called every second or so. @returns whether the watcher must be dropped */
  tick(now: number): boolean {
    const { sink } = this.#parts;
    const { takenBytes } = sink;
    if (takenBytes > this.#takenBytes || sink.unsentBytes === 0) this.#progressAt = now;
    this.#takenBytes = takenBytes;
    if (now - this.#progressAt >= MAX_STALL_MS) return true;
    if (now - this.#sentAt >= ALIVE_MS) this.#sendAlive(now);
    return false;
  }

  /** Sends something if there is room: whether somebody has left is noticed by that alone. */
  probe(now: number): void {
    if (this.#parts.sink.unsentBytes < FULL_BYTES) this.#sendAlive(now);
  }

  /** The watcher has been sent everything. */
  end(message: string): void {
    this.#parts.sink.end(message);
  }

  /** Who comes back is shown the session from its beginning. */
  drop(message: string): void {
    this.#parts.sink.drop(message, true);
  }

  /** A burst may be far more than anybody can see: whoever has fallen behind goes on near its end. */
  #catchUp(source: CastSource, end: number, now: number): void {
    const isPast =
      this.#source < this.#past.source || (this.#source === this.#past.source && this.#offset < this.#past.offset);
    if (isPast || end - this.#offset <= MAX_BEHIND_BYTES) return;
    this.#skipTo(source.nearEnd(KEPT_BYTES, now), now);
  }

  #sendBlock(source: CastSource, now: number): ShownBlock | undefined {
    const block = this.#parts.read(source, this.#offset, now);
    if (!block) {
      this.#skipTo(source.end(now), now);
      return undefined;
    }
    if (block.start > this.#offset) this.#skipTo(block.start, now);
    const isFirst = this.#source === 0 && this.#offset === 0;
    this.#offset = block.next;
    if (isFirst) this.#send(this.#withoutHeader(block.text), now);
    else this.#send(block.text, now, block.bytes);
    return block;
  }

  #sendAlive(now: number): void {
    this.#send(`${JSON.stringify([this.#parts.seconds(now), "e", "alive"])}\n`, now);
  }

  #skipTo(offset: number, now: number): void {
    const skipped = offset - this.#offset;
    this.#offset = offset;
    if (skipped > 0) this.notice(leftOutNotice(skipped), now);
  }

  /** A recording's own header may be older than the one that the watcher has. */
  #withoutHeader(text: string): string {
    if (!text.startsWith("{")) return text;
    const end = text.indexOf("\n") + 1;
    const { width, height } = JSON.parse(text.slice(0, end));
    const isKnown = width === this.#shownSize?.columns && height === this.#shownSize?.rows;
    const resize = isKnown ? "" : resizeLine(0, { columns: width, rows: height });
    return resize + text.slice(end);
  }

  #send(text: string, now: number, bytes = utf8Length(text)): void {
    if (text === "") return;
    this.#sentAt = now;
    this.#parts.sink.send(text, bytes);
  }
}
