import { Channel } from "../../kubernetes/channels.ts";
import type { Chunk } from "../protocols/chunk.ts";
import type { CastMetadata, TerminalSize } from "../recording/cast-lines.ts";
import { type CreateTap, ResizeReader, type Tap } from "../recording/tap.ts";
import {
  type CastSource,
  type ReadStored,
  RecordedCast,
  UnrecordedCast,
  type WatchedRecording,
} from "./cast-source.ts";
import { ShownChunks } from "./shown-chunks.ts";

export interface LiveCastParts {
  readonly metadata: CastMetadata;
  /** Absent where the session has no screen: tunnels. */
  readonly createTap: CreateTap | undefined;
  /** Whether what the user types is shown, as in a recording of mode `full`. */
  readonly withInput: boolean;
  /** Absent where the session is not recorded. */
  readonly recording: WatchedRecording | undefined;
  readonly readStored: ReadStored;
}

/** What watchers see of a session, or of the rest of one, that is not recorded. */
interface Unrecorded {
  readonly cast: UnrecordedCast;
  readonly tap: Tap | undefined;
  readonly output: ShownChunks;
  readonly startedAt: number;
}

/**
 * What a live session shows, to its recording and to those who watch it. It takes every chunk that crosses. A
 * session that nobody watches pays one comparison for it.
 */
export class LiveCast {
  readonly metadata: CastMetadata;
  readonly #parts: LiveCastParts;
  readonly #resizes = new ResizeReader();
  readonly #recorded: RecordedCast | undefined;
  #size: TerminalSize | undefined;
  #unrecorded: Unrecorded | undefined;
  #onNews: (() => void) | undefined;

  constructor(parts: LiveCastParts) {
    const { metadata, recording, readStored } = parts;
    this.metadata = metadata;
    this.#parts = parts;
    this.#recorded = recording && new RecordedCast(recording, readStored);
  }

  /** The terminal's size, once its client has told it. */
  get size(): TerminalSize | undefined {
    return this.#size;
  }

  /** Whether the session has a screen. */
  get hasScreen(): boolean {
    return this.#parts.createTap !== undefined;
  }

  /** Whether a recording has the session so far. */
  get isRecorded(): boolean {
    return this.#recorded !== undefined;
  }

  /** Whether the recording has, or will have, how the session ended as the last thing that watchers see. */
  get isRecordedToItsEnd(): boolean {
    return this.#recorded !== undefined && this.#unrecorded === undefined;
  }

  /** When the cast's time starts, ms since the epoch. */
  startedAt(now: number): number {
    return this.#parts.recording?.startedAt ?? this.#unrecorded?.startedAt ?? now;
  }

  /**
   * Somebody watches from now on.
   *
   * @param onNews called with every chunk, so it must be cheap
   * @returns the cast's sources, in order
   */
  watch(now: number, onNews: () => void): readonly CastSource[] {
    this.#onNews = onNews;
    if (!this.#recorded || this.#parts.recording?.isStopped) this.#goOnUnrecorded(now);
    return this.sources;
  }

  /** Nobody watches any more. */
  unwatch(): void {
    this.#onNews = undefined;
    this.#unrecorded = undefined;
  }

  get sources(): readonly CastSource[] {
    return [this.#recorded, this.#unrecorded?.cast].filter((source) => source !== undefined);
  }

  fromClient(chunk: Chunk, now: number): void {
    if (chunk.channel === Channel.resize) this.#size = this.#resizes.push(chunk) ?? this.#size;
    this.#parts.recording?.fromClient(chunk, now);
    if (!this.#onNews) return;
    this.#unrecorded?.tap?.fromClient(chunk, now);
    this.#tell(this.#onNews, now);
  }

  fromUpstream(chunk: Chunk, now: number): void {
    this.#parts.recording?.fromUpstream(chunk, now);
    if (!this.#onNews) return;
    this.#unrecorded?.output.push(chunk, now);
    this.#tell(this.#onNews, now);
  }

  /** Makes what is recorded durable. */
  flush(now: number): void {
    this.#parts.recording?.flush(now);
  }

  /** Shows watchers of a session without a screen a line of text. */
  show(text: string, now: number): void {
    this.#unrecorded?.cast.writer.write("stdout", new TextEncoder().encode(text), now);
    this.#onNews?.();
  }

  /** Watchers are about to be shown what there is. */
  renew(now: number): void {
    this.#unrecorded?.output.renew(now);
  }

  /** Lets go of what every watcher has been sent. */
  drop(now: number): void {
    this.#unrecorded?.cast.drop(now);
  }

  /** The session is over, and its recording has its end. */
  end(now: number): void {
    this.#recorded?.close(now);
  }

  #tell(onNews: () => void, now: number): void {
    if (this.#parts.recording?.isStopped && !this.#unrecorded) this.#goOnUnrecorded(now);
    onNews();
  }

  /** Where a recording stops within a chunk, watchers do not see the rest of that chunk. */
  #goOnUnrecorded(now: number): void {
    if (this.#unrecorded) return;
    this.#recorded?.close(now);
    const startedAt = this.startedAt(now);
    const cast = new UnrecordedCast(this.metadata, this.#size, startedAt);
    const tap = this.#parts.createTap?.(cast.writer, this.#parts.withInput);
    const output = new ShownChunks({
      show: (chunk, at) => tap?.fromUpstream(chunk, at),
      notice: (text, at) => cast.writer.notice(text, at),
    });
    this.#unrecorded = { cast, startedAt, tap, output };
  }
}
