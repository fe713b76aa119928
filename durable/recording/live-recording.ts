import type { RecordingSummary } from "../../audit/events.ts";
import type { RecordingPolicy } from "../../contract/recording.ts";
import type { Message } from "../protocols/observer.ts";
import { AsciicastWriter } from "./asciicast-writer.ts";
import type { CastFacts } from "./cast-lines.ts";
import { inUnits } from "./policy.ts";
import type { Spool } from "./spool.ts";
import { createTap, type Tap } from "./tap.ts";

/** How a session ends whose recording cannot go on, and what its user reads. */
export type OnMustEnd = (outcome: "recording_failed" | "recording_limit", words: string) => void;

export interface LiveRecordingParts {
  readonly facts: CastFacts;
  readonly policy: RecordingPolicy;
  /** What the upstream chose. */
  readonly subprotocol: string;
  readonly spool: Spool;
  /** Its number there. */
  readonly number: number;
  /** What the object's recordings may hold together; see MAX_SPOOL_BYTES. */
  readonly maxSpoolBytes: number;
  /** There is something to flush. Called once until `flush`. */
  readonly onDirty: () => void;
  /** A part is full. */
  readonly onPart: () => void;
  /** It cannot go on, and the policy says that then the session must not either. Called once. */
  readonly onMustEnd: OnMustEnd;
}

/**
 * The recording of one open session. Give it every message that crosses; it never throws, and never changes one.
 *
 * Once it is stopped, at its largest size or by a failure, a message costs one comparison.
 */
export class LiveRecording {
  readonly #parts: LiveRecordingParts;
  readonly #writer: AsciicastWriter;
  readonly #tap: Tap;
  #failure: string | undefined;
  #isFull = false;
  #isDirty = false;
  #hasHeader = false;
  #start = 0;

  constructor(parts: LiveRecordingParts) {
    this.#parts = parts;
    const { facts, policy, subprotocol } = parts;
    this.#writer = new AsciicastWriter(facts, policy.maxBytes, (lines, now) => this.#store(lines, now));
    this.#tap = createTap(facts.kind, subprotocol, policy.mode === "full", this.#writer);
  }

  fromClient(message: Message, now: number): void {
    if (this.#writer.stopped === undefined) this.#guard(now, () => this.#tap.fromClient(message, now));
  }

  fromUpstream(message: Message, now: number): void {
    if (this.#writer.stopped === undefined) this.#guard(now, () => this.#tap.fromUpstream(message, now));
  }

  flush(now: number): void {
    this.#isDirty = false;
    this.#guard(now, () => this.#writer.flush(now));
  }

  /** The session is over. To be called once. @param label of the last marker; see `endLabel` */
  end(label: string, now: number): RecordingSummary {
    const { spool, facts } = this.#parts;
    this.#guard(now, () => this.#writer.end(label, now));
    this.#guard(now, () => spool.end(facts.sessionId));
    const reason = this.#failure ?? this.#writer.stopped ?? null;
    const state = this.#failure !== undefined ? "failed" : reason !== null ? "capped" : "complete";
    return { state, bytes: this.#start, reason };
  }

  #guard(now: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      // The kind of the error alone: its words might quote what was to be written.
      this.#fail(
        `recording stopped here: it could not be stored (${error instanceof Error ? error.name : "error"})`,
        now,
      );
    }
    if (this.#writer.stopped !== undefined && this.#failure === undefined) this.#full();
    if (this.#isDirty || !this.#writer.hasUnflushed) return;
    this.#isDirty = true;
    this.#parts.onDirty();
  }

  #store(lines: Uint8Array, now: number): void {
    const { spool, number, facts, maxSpoolBytes } = this.#parts;
    if (!this.#hasHeader) {
      this.#hasHeader = true;
      spool.setHeader(facts.sessionId, new TextDecoder().decode(lines), this.#writer.firstAt ?? now);
    }
    const filledPart = spool.append(number, this.#start, lines, now);
    this.#start += lines.length;
    if (filledPart) this.#parts.onPart();
    if (spool.bytesHeld > maxSpoolBytes) {
      this.#fail(`recording stopped here: ${inUnits(maxSpoolBytes)} of recordings wait for R2, which takes none`, now);
    }
  }

  #fail(words: string, now: number): void {
    if (this.#failure !== undefined) return;
    this.#failure = words;
    console.error(`recording: session ${this.#parts.facts.sessionId}: ${words}`);
    this.#writer.stop(words, now);
    if (this.#parts.policy.onFailure === "end") {
      this.#mustEnd("recording_failed", "session ended: it can no longer be recorded");
    }
  }

  #full(): void {
    if (this.#isFull) return;
    this.#isFull = true;
    const { onFull, maxBytes } = this.#parts.policy;
    if (onFull === "end") {
      const words = `session ended: its recording reached the largest size allowed, ${inUnits(maxBytes)}`;
      this.#mustEnd("recording_limit", words);
    }
  }

  /** Not at once: this is in the middle of a message. */
  #mustEnd(...how: Parameters<OnMustEnd>): void {
    queueMicrotask(() => this.#parts.onMustEnd(...how));
  }
}
