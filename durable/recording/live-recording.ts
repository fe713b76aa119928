import type { RecordingSummary } from "../../audit/events.ts";
import { logEvent } from "../../common/log.ts";
import type { RecordingPolicy } from "../../contract/recording.ts";
import type { Chunk } from "../protocols/chunk.ts";
import { AsciicastWriter } from "./asciicast-writer.ts";
import type { CastMetadata } from "./cast-lines.ts";
import { FLUSH_MS, inUnits } from "./policy.ts";
import { MAX_CAST_BYTES, type Spool, type StoppedRecording } from "./spool.ts";
import type { CreateTap, Tap } from "./tap.ts";

const NOTHING = new Uint8Array(0);

/** Ends a session whose recording cannot go on. @param message for its user */
export type OnMustEnd = (outcome: "recording_failed" | "recording_limit", message: string) => void;

export interface LiveRecordingParts {
  readonly metadata: CastMetadata;
  readonly policy: RecordingPolicy;
  readonly createTap: CreateTap;
  readonly spool: Spool;
  /** The recording's number in the spool. */
  readonly number: number;
  /** What all recordings of the object may hold together, see MAX_SPOOL_BYTES. */
  readonly maxSpoolBytes: number;
  /** There is something to flush. Called once until `flush`. */
  readonly onDirty: () => void;
  /** A part is full. */
  readonly onPart: () => void;
  /** The recording cannot go on, and its policy says that the session must end too. Called once. */
  readonly onMustEnd: OnMustEnd;
}

/**
 * The recording of one open session. It takes every chunk that crosses, never throws, and never changes a
 * chunk.
 *
 * Once it has stopped, at its size limit or by a failure, a chunk costs one comparison.
 */
export class LiveRecording {
  readonly #parts: LiveRecordingParts;
  readonly #writer: AsciicastWriter;
  readonly #tap: Tap;
  #failure: string | undefined;
  #isFull = false;
  /** Since when there has been something to flush, ms since the epoch. */
  #dirtySince: number | undefined;
  #hasHeader = false;
  #bytesStored = 0;

  constructor(parts: LiveRecordingParts) {
    this.#parts = parts;
    const { metadata, policy, createTap } = parts;
    const maxBytes = Math.min(policy.maxBytes, MAX_CAST_BYTES);
    this.#writer = new AsciicastWriter(metadata, maxBytes, (lines, now) => this.#store(lines, now));
    this.#tap = createTap(this.#writer, policy.mode === "full");
  }

  fromClient(chunk: Chunk, now: number): void {
    if (this.#writer.stopped !== undefined) return;
    this.#guard(now, () => this.#tap.fromClient(chunk, now));
    this.#flushOverdue(now);
  }

  fromUpstream(chunk: Chunk, now: number): void {
    if (this.#writer.stopped !== undefined) return;
    this.#guard(now, () => this.#tap.fromUpstream(chunk, now));
    this.#flushOverdue(now);
  }

  /** Whether no more of the session is recorded, although it goes on. */
  get isStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /** When the cast's time started, ms since the epoch; undefined before its first byte. */
  get startedAt(): number | undefined {
    return this.#writer.firstAt;
  }

  /** Bytes of the cast that are in the spool. Its other lines are `unstoredLines`. */
  get bytesStored(): number {
    return this.#bytesStored;
  }

  /** The lines that follow those in the spool. @returns a view that is valid until the next call */
  unstoredLines(now: number): Uint8Array {
    // The header is stored at once, because whoever comes later begins with it.
    if (!this.#hasHeader && this.#writer.hasUnflushed) this.flush(now);
    let lines: Uint8Array = NOTHING;
    this.#guard(now, () => {
      lines = this.#writer.finishedLines(now);
    });
    return lines;
  }

  flush(now: number): void {
    this.#dirtySince = undefined;
    this.#guard(now, () => this.#writer.flush(now));
  }

  /** The session is over. To be called once. @param label of the last marker, see `endLabel` */
  end(label: string, now: number): RecordingSummary {
    const { spool, metadata } = this.#parts;
    this.#guard(now, () => this.#writer.end(label, now));
    this.#guard(now, () => spool.end(metadata.sessionId));
    return { ...(this.#stopped ?? { state: "complete", reason: null }), bytes: this.#bytesStored };
  }

  get #stopped(): StoppedRecording | undefined {
    if (this.#failure !== undefined) return { state: "failed", reason: this.#failure };
    const { stopped } = this.#writer;
    return stopped === undefined ? undefined : { state: "capped", reason: stopped };
  }

  #guard(now: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      // The kind of the error only: its message might quote what was to be written.
      const kind = error instanceof Error ? error.name : "error";
      this.#fail(`recording stopped here: it could not be stored (${kind})`, now);
    }
    if (this.#writer.stopped !== undefined && this.#failure === undefined) this.#reachSizeLimit();
    if (this.#dirtySince !== undefined || !this.#writer.hasUnflushed) return;
    this.#dirtySince = now;
    this.#parts.onDirty();
  }

  /** On a busy machine the timer is late, and what crosses meanwhile must not wait for it. */
  #flushOverdue(now: number): void {
    if (this.#dirtySince !== undefined && now - this.#dirtySince >= FLUSH_MS) this.flush(now);
  }

  #store(lines: Uint8Array, now: number): void {
    const { spool, number, metadata, maxSpoolBytes } = this.#parts;
    if (!this.#hasHeader) {
      this.#hasHeader = true;
      spool.setHeader(metadata.sessionId, new TextDecoder().decode(lines), this.#writer.firstAt ?? now);
    }
    const filledPart = spool.append(number, this.#bytesStored, lines, now);
    this.#bytesStored += lines.length;
    if (filledPart) this.#parts.onPart();
    if (spool.bytesHeld > maxSpoolBytes) {
      this.#fail(`recording stopped here: ${inUnits(maxSpoolBytes)} of recordings wait for R2, which takes none`, now);
    }
  }

  #fail(cause: string, now: number): void {
    if (this.#failure !== undefined) return;
    this.#failure = cause;
    logEvent("error", "recording_stopped", { session: this.#parts.metadata.sessionId, cause });
    this.#writer.stop(cause, now);
    this.#saveStopped();
    if (this.#parts.policy.onFailure === "end") {
      this.#mustEnd("recording_failed", "session ended: it can no longer be recorded");
    }
  }

  #reachSizeLimit(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#saveStopped();
    const { onFull, maxBytes } = this.#parts.policy;
    if (onFull === "end") {
      const message = `session ended: its recording reached the largest size allowed, ${inUnits(maxBytes)}`;
      this.#mustEnd("recording_limit", message);
    }
  }

  /** For the next life of the object. */
  #saveStopped(): void {
    const { spool, metadata } = this.#parts;
    try {
      if (this.#stopped) spool.setStopped(metadata.sessionId, this.#stopped);
    } catch {
      // The storage that fails is why it stopped.
    }
  }

  /** Deferred, because this runs while a message is being relayed. */
  #mustEnd(...end: Parameters<OnMustEnd>): void {
    queueMicrotask(() => this.#parts.onMustEnd(...end));
  }
}
