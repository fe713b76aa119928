import { utf8Length } from "../../common/bytes.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { type LiveRecord, type LiveRequest, refuseLive } from "../../contract/live-stream.ts";
import { RoomMaker } from "../watch/make-room.ts";
import { StreamSink } from "../watch/stream-sink.ts";
import { FULL_BYTES, type WatchSink } from "../watch/watch-sink.ts";
import type { Teller, Told } from "./tellers.ts";

/** The most streams of one person. */
export const MAX_STREAMS_PER_PERSON = 5;
/** How long a change waits for others, ms: reports come in bursts. */
const GATHER_MS = 250;
/** How soon somebody who has read is told the rest, ms. */
const GO_ON_MS = 50;
/** How often leases, heartbeats and slow readers are looked at, ms. */
const TICK_MS = 1_000;
/** So often something is sent, because intermediaries cut connections that are silent, ms. */
const ALIVE_MS = 15_000;
/** Who takes nothing for so long although something waits is dropped, ms. */
export const MAX_STALL_MS = 30_000;

/** What the streams need of the directory. */
export interface LiveStreamsParts {
  /** What they tell of. */
  readonly told: Told;
  /** Its name, for refusals. */
  readonly what: string;
  /** The most streams at once: what each may leave unread is in the directory's memory. */
  readonly maxStreams: number;
  /** ms since the epoch */
  readonly now: () => number;
}

/** One reader. */
interface Stream {
  readonly by: string;
  readonly sink: WatchSink;
  readonly teller: Teller;
  sentAt: number;
  takenBytes: number;
  progressAt: number;
}

/**
 * Tells those who ask what is live, and then what changes.
 *
 * Nothing is queued for a slow reader: who has read what there was is told the difference to what they know.
 * So a stream costs what its teller keeps, and at most `FULL_BYTES` and one record.
 */
export class LiveStreams {
  readonly #parts: LiveStreamsParts;
  readonly #streams = new Set<Stream>();
  readonly #room = new RoomMaker();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(parts: LiveStreamsParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#streams.size;
  }

  /** Begins a stream. @param signal aborted when its reader leaves before it has an answer */
  async open({ by }: LiveRequest, signal: AbortSignal): Promise<Response> {
    const hasRoom = () => this.#refusalOf(by) === undefined;
    if (!hasRoom()) await this.#room.make(hasRoom, () => this.#probe());
    const refusal = this.#refusalOf(by);
    if (refusal) return refuseLive(refusal);
    if (signal.aborted) return new Response(null);
    const now = this.#parts.now();
    const leave = () => this.#remove(stream);
    const sink = new StreamSink(leave);
    const times = { sentAt: now, takenBytes: 0, progressAt: now };
    const stream: Stream = { by, sink, teller: this.#parts.told.teller(), ...times };
    this.#streams.add(stream);
    signal.addEventListener("abort", leave);
    this.#runWithin(0);
    return new Response(sink.body);
  }

  #refusalOf(by: string): Denial | undefined {
    const { what, maxStreams } = this.#parts;
    const theirs = [...this.#streams].filter((stream) => stream.by === by).length;
    if (theirs >= MAX_STREAMS_PER_PERSON) {
      const most = `you have ${MAX_STREAMS_PER_PERSON} streams of ${what} open already, the most allowed`;
      return denial("too_many_watchers", `${most}: close one`);
    }
    if (this.#streams.size < maxStreams) return undefined;
    const most = `${maxStreams} streams of ${what} are open already, the most allowed`;
    return denial("too_many_watchers", `${most}: try again when one was closed`);
  }

  /** Whoever has left is noticed by it. */
  #probe(): void {
    const now = this.#parts.now();
    for (const stream of this.#streams) if (!isFull(stream)) this.#send(stream, { type: "alive" }, now);
  }

  /** To be called after a report. */
  changed(): void {
    this.#parts.told.changed();
    if (this.#streams.size > 0) this.#runWithin(GATHER_MS);
  }

  #runWithin(ms: number): void {
    const at = this.#parts.now() + ms;
    if (this.#timer !== null && this.#timerAt <= at) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, ms);
  }

  /** A fault of Sallyport's own ends the streams. Reports must not fail with them. */
  #run(): void {
    const now = this.#parts.now();
    for (const stream of [...this.#streams]) {
      try {
        this.#tell(stream, now);
        if (this.#isStalled(stream, now)) this.#drop(stream);
      } catch (error) {
        logEvent("error", "live_stream_failed", { error: describeError(error) });
        this.#drop(stream);
      }
    }
    // What was looked up is not kept for nobody.
    if (this.#streams.size === 0) this.#parts.told.forget();
    else this.#runWithin([...this.#streams].some(isFull) ? GO_ON_MS : TICK_MS);
  }

  /** Tells what a reader lacks, as far as there is room for it. */
  #tell(stream: Stream, now: number): void {
    if (isFull(stream)) return;
    for (const record of stream.teller.lacks(now)) {
      if (isFull(stream)) return;
      this.#send(stream, record, now);
    }
    if (now - stream.sentAt >= ALIVE_MS) this.#send(stream, { type: "alive" }, now);
  }

  #send(stream: Stream, record: LiveRecord, now: number): void {
    const line = `${JSON.stringify(record)}\n`;
    stream.sentAt = now;
    stream.sink.send(line, utf8Length(line));
  }

  #isStalled(stream: Stream, now: number): boolean {
    const { takenBytes, unsentBytes } = stream.sink;
    if (takenBytes > stream.takenBytes || unsentBytes === 0) stream.progressAt = now;
    stream.takenBytes = takenBytes;
    return now - stream.progressAt >= MAX_STALL_MS;
  }

  #drop(stream: Stream): void {
    this.#remove(stream);
    stream.sink.drop("the reader stopped reading", true);
  }

  #remove(stream: Stream): void {
    this.#streams.delete(stream);
  }
}

/** Whether a reader has enough to read, and may lack more. */
function isFull({ sink }: Stream): boolean {
  return sink.unsentBytes >= FULL_BYTES;
}
