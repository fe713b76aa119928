import { utf8Length } from "../../common/bytes.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { type LiveCounts, type LivePage, liveCountsSchema } from "../../contract/directory.ts";
import { type LiveRecord, type LiveRequest, refuseLive } from "../../contract/live-stream.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";
import { RoomMaker } from "../watch/make-room.ts";
import { StreamSink } from "../watch/stream-sink.ts";
import { FULL_BYTES, type WatchSink } from "../watch/watch-sink.ts";

/** The most streams at once, and of one person: what each may leave unread is in the directory's memory. */
export const MAX_STREAMS = 50;
export const MAX_STREAMS_PER_PERSON = 5;
/** The most sessions that a stream tells of: the newest. */
export const MAX_STREAMED_SESSIONS = 2_000;
/** The most sessions in one record. */
const MAX_RECORD_SESSIONS = 50;
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
  /** The newest sessions that are live. @param now ms since the epoch */
  readonly list: (limit: number, now: number) => LivePage;
  /** How many there are. */
  readonly count: () => number;
  /** ms since the epoch */
  readonly now: () => number;
}

/** What one reader has been told. */
interface Stream {
  readonly by: string;
  readonly sink: WatchSink;
  /** Session → its counts as they were told. */
  readonly told: Map<string, string>;
  /** What the last summary said; undefined before the first. */
  summary: string | undefined;
  sentAt: number;
  takenBytes: number;
  progressAt: number;
}

/**
 * Tells those who ask what is live, and then what changes.
 *
 * Nothing is queued for a slow reader: who has read what there was is told the difference to what they know.
 * So a stream costs its map of counts and at most `FULL_BYTES` and one record.
 */
export class LiveStreams {
  readonly #parts: LiveStreamsParts;
  readonly #streams = new Set<Stream>();
  readonly #room = new RoomMaker();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #timerAt = Number.POSITIVE_INFINITY;
  /** What was live when it was last looked up. */
  #page: { readonly at: number; readonly page: LivePage; readonly omitted: number } | undefined;

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
    const stream: Stream = { by, sink, told: new Map(), summary: undefined, ...times };
    this.#streams.add(stream);
    signal.addEventListener("abort", leave);
    this.#runWithin(0);
    return new Response(sink.body);
  }

  #refusalOf(by: string): Denial | undefined {
    const theirs = [...this.#streams].filter((stream) => stream.by === by).length;
    if (theirs >= MAX_STREAMS_PER_PERSON) return TOO_MANY_OF_YOURS;
    return this.#streams.size >= MAX_STREAMS ? TOO_MANY : undefined;
  }

  /** Whoever has left is noticed by it. */
  #probe(): void {
    const now = this.#parts.now();
    for (const stream of this.#streams) if (!isFull(stream)) this.#send(stream, { type: "alive" }, now);
  }

  /** To be called after a report. */
  changed(): void {
    if (this.#streams.size === 0) return;
    this.#page = undefined;
    this.#runWithin(GATHER_MS);
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
    if (this.#streams.size === 0) this.#page = undefined;
    else this.#runWithin([...this.#streams].some(isFull) ? GO_ON_MS : TICK_MS);
  }

  /** Tells what a reader lacks, as far as there is room for it. */
  #tell(stream: Stream, now: number): void {
    const { page, omitted } = this.#look(now);
    if (isFull(stream)) return;
    const summary = `${page.isComplete} ${omitted}`;
    if (stream.summary !== summary) {
      this.#send(stream, { type: "summary", isComplete: page.isComplete, omitted }, now);
      stream.summary = summary;
    }
    for (const record of difference(stream.told, page)) {
      if (isFull(stream)) return;
      this.#send(stream, record, now);
      remember(stream.told, record);
    }
    if (now - stream.sentAt >= ALIVE_MS) this.#send(stream, { type: "alive" }, now);
  }

  #look(now: number) {
    const known = this.#page;
    if (known && 0 <= now - known.at && now - known.at < TICK_MS) return known;
    const page = this.#parts.list(MAX_STREAMED_SESSIONS, now);
    const omitted = Math.max(0, this.#parts.count() - page.sessions.length);
    this.#page = { at: now, page, omitted };
    return this.#page;
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

/** What somebody lacks who was told of these sessions: what is over first, so that no list is too long. */
function* difference(told: ReadonlyMap<string, string>, { sessions }: LivePage): Generator<LiveRecord> {
  const live = new Set(sessions.map(({ id }) => id));
  const ended = [...told.keys()].filter((id) => !live.has(id));
  for (const ids of parts(ended)) yield { type: "ended", ids };
  for (const some of parts(sessions.filter(({ id }) => !told.has(id)))) yield { type: "sessions", sessions: some };
  const used = sessions.filter((row) => told.has(row.id) && told.get(row.id) !== keyOf(row));
  for (const some of parts(used)) yield { type: "counts", sessions: some.map(countsOf) };
}

function remember(told: Map<string, string>, record: LiveRecord): void {
  if (record.type === "ended") for (const id of record.ids) told.delete(id);
  if (record.type === "sessions" || record.type === "counts") {
    for (const session of record.sessions) told.set(session.id, keyOf(session));
  }
}

/** What changes while a session is open, whatever the contract counts among it. */
const COUNTS = Object.keys(liveCountsSchema.shape) as readonly (keyof LiveCounts)[];

function countsOf(row: LiveSessionRow): LiveCounts & { readonly id: string } {
  const counts = Object.fromEntries(COUNTS.map((name) => [name, row[name]]));
  return { id: row.id, ...(counts as LiveCounts) };
}

function keyOf(counts: LiveCounts): string {
  return COUNTS.map((name) => counts[name]).join(" ");
}

function* parts<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += MAX_RECORD_SESSIONS) yield all.slice(from, from + MAX_RECORD_SESSIONS);
}

const TOO_MANY_OF_YOURS = denial(
  "too_many_watchers",
  `you have ${MAX_STREAMS_PER_PERSON} streams of live sessions open already, the most allowed: close one`,
);
const TOO_MANY = denial(
  "too_many_watchers",
  `${MAX_STREAMS} streams of live sessions are open already, the most allowed: try again when one was closed`,
);
