import type { RecordingSummary } from "../../audit/events.ts";
import { backoffMs } from "../../common/backoff.ts";
import { describeError, logEvent } from "../../common/log.ts";
import type { RecordingBlock, RecordingPolicy } from "../../contract/recording.ts";
import { type CastMetadata, DEFAULT_SIZE, headerLine, markerLine, noticeLine } from "./cast-lines.ts";
import { LiveRecording, type OnMustEnd } from "./live-recording.ts";
import { FLUSH_MS, MAX_SPOOL_BYTES, READ_BLOCK_BYTES, UPLOAD_PRESSURE_RATIO } from "./policy.ts";
import { readSpooled } from "./read-spooled.ts";
import { Spool, type SpooledRecording } from "./spool.ts";
import type { CreateTap } from "./tap.ts";
import { uploadReady } from "./upload.ts";

const RETRY_BACKOFF = { firstMs: 1_000, maxMs: 300_000 };

export interface NewRecording {
  readonly metadata: CastMetadata;
  readonly policy: RecordingPolicy;
  readonly createTap: CreateTap;
  readonly onMustEnd: OnMustEnd;
}

/**
 * All recordings of one object: those of live sessions, and those that wait for R2. It runs one upload at a
 * time and holds little more than a chunk of it in memory.
 */
export class Recordings {
  readonly #spool: Spool;
  readonly #bucket: R2Bucket;
  readonly #onReady: () => void;
  readonly #maxSpoolBytes: number;
  readonly #isBusy: () => boolean;
  readonly #live = new Map<string, LiveRecording>();
  readonly #dirty = new Set<LiveRecording>();
  #flushTimer: ReturnType<typeof setTimeout> | null = null;
  #uploading: Promise<void> | undefined;
  #uploadAgain = false;
  /** A part is full, or was left for later. */
  #hasReady = false;
  #failures = 0;

  /**
   * @param onReady a recording has ended and waits for `upload`
   * @param options.isBusy the object is relaying a burst, and uploads should wait
   */
  constructor(
    sql: SqlStorage,
    bucket: R2Bucket,
    onReady: () => void,
    { maxSpoolBytes = MAX_SPOOL_BYTES, isBusy = () => false }: { maxSpoolBytes?: number; isBusy?: () => boolean } = {},
  ) {
    this.#spool = new Spool(sql);
    this.#bucket = bucket;
    this.#onReady = onReady;
    this.#maxSpoolBytes = maxSpoolBytes;
    this.#isBusy = isBusy;
  }

  /**
   * Starts to record a session that the cluster has accepted.
   *
   * @throws when the object's storage fails
   */
  begin({ metadata, policy, createTap, onMustEnd }: NewRecording, now: number): LiveRecording {
    const recording: LiveRecording = new LiveRecording({
      metadata,
      policy,
      createTap,
      spool: this.#spool,
      number: this.#spool.begin(metadata, now),
      maxSpoolBytes: this.#maxSpoolBytes,
      onDirty: () => this.#flushSoon(recording),
      onPart: () => {
        this.#hasReady = true;
      },
      onMustEnd,
    });
    this.#live.set(metadata.sessionId, recording);
    return recording;
  }

  /** The session is over. @returns undefined where it was not recorded */
  end(sessionId: string, label: string, now: number): RecordingSummary | undefined {
    const recording = this.#live.get(sessionId);
    if (!recording) return undefined;
    this.#live.delete(sessionId);
    const summary = recording.end(label, now);
    this.#dirty.delete(recording);
    this.#onReady();
    return summary;
  }

  /**
   * Ends the recordings that an earlier life of the object left open. To be called when the object starts,
   * before any session opens.
   *
   * @param endLabels how sessions ended whose last Status had arrived. It came after all output, and the
   *   recording was flushed with it, so nothing of those is missing.
   * @returns for each session what its `end` event says about its recording
   */
  endInterrupted(endLabels: ReadonlyMap<string, string> = new Map()): Map<string, RecordingSummary> {
    const ended = this.#spool
      .open()
      .map(
        (recording) =>
          [recording.sessionId, this.#endInterrupted(recording, endLabels.get(recording.sessionId))] as const,
      );
    if (ended.length > 0) this.#onReady();
    return new Map(ended);
  }

  /**
   * Resolves when R2 has all that is ready, or failed, or the object is busy. Joins an upload that is under
   * way. Never rejects.
   */
  upload(): Promise<void> {
    // What becomes ready during an upload must not wait for the next call.
    this.#uploadAgain = true;
    this.#uploading ??= this.#uploadAll().finally(() => {
      this.#uploading = undefined;
    });
    return this.#uploading;
  }

  /** Whether full parts wait for `upload` and the object has time for it. To be asked every second or so. */
  get isDue(): boolean {
    return this.#hasReady && !this.isFailing && this.#shouldUpload();
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** How long to wait before the next attempt, ms. */
  get retryInMs(): number {
    return backoffMs(this.#failures, RETRY_BACKOFF);
  }

  /** Whether anything has to go to R2, now or later. */
  get hasWaiting(): boolean {
    return this.#spool.hasWaiting;
  }

  /**
   * Reads from a recording that R2 does not have yet, from an offset in the cast on; see `readSpooled`. The
   * last second of a live session is included.
   */
  read(sessionId: string, offset: number, now: number): RecordingBlock | null {
    if (offset === 0) this.#live.get(sessionId)?.flush(now);
    return readSpooled(this.#spool, sessionId, offset, READ_BLOCK_BYTES);
  }

  /**
   * Reads whole lines of a recording from the object's SQLite, without flushing it; see `readSpooled`.
   *
   * @param length about how many bytes; more where a single line is longer
   */
  readStored(sessionId: string, offset: number, length: number): RecordingBlock | null {
    const block = readSpooled(this.#spool, sessionId, offset, length);
    if (!block || block.isLast || block.next > offset) return block;
    return readSpooled(this.#spool, sessionId, offset, READ_BLOCK_BYTES);
  }

  #shouldUpload(): boolean {
    return !this.#isBusy() || this.#spool.bytesHeld > this.#maxSpoolBytes * UPLOAD_PRESSURE_RATIO;
  }

  #flushSoon(recording: LiveRecording): void {
    this.#dirty.add(recording);
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = null;
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const each of dirty) each.flush(Date.now());
    }, FLUSH_MS);
  }

  #endInterrupted(recording: SpooledRecording, endLabel: string | undefined): RecordingSummary {
    const { sessionId, number, metadata, castStartedAt, lastWrittenAt, stopped } = recording;
    const reason = "recording interrupted here: the object that held the session stopped (crash, eviction or deploy)";
    const isInterrupted = !stopped && endLabel === undefined;
    const seconds = (lastWrittenAt - (castStartedAt ?? lastWrittenAt)) / 1000;
    const start = this.#spool.byteLength(recording);
    const header = start === 0 ? headerLine(metadata, DEFAULT_SIZE, lastWrittenAt) : "";
    const notice = isInterrupted ? noticeLine(seconds, reason) : "";
    const lines = new TextEncoder().encode(header + notice + markerLine(seconds, endLabel ?? "interrupted"));
    this.#spool.append(number, start, lines, lastWrittenAt);
    this.#spool.end(sessionId);
    const bytes = start + lines.length;
    if (stopped) return { ...stopped, bytes };
    return isInterrupted ? { state: "interrupted", bytes, reason } : { state: "complete", bytes, reason: null };
  }

  async #uploadAll(): Promise<void> {
    while (this.#uploadAgain) {
      this.#uploadAgain = false;
      this.#hasReady = false;
      for (const sessionId of this.#spool.waiting()) {
        if (!(await this.#uploadOne(sessionId))) return;
      }
      this.#hasReady ||= !this.#shouldUpload();
    }
  }

  /** @returns whether R2 took what was ready */
  async #uploadOne(sessionId: string): Promise<boolean> {
    try {
      await uploadReady(this.#bucket, this.#spool, sessionId, () => this.#shouldUpload());
      this.#failures = 0;
      return true;
    } catch (error) {
      this.#failures++;
      this.#spool.uploadFailed(sessionId);
      const fields = { session: sessionId, attempt: this.#failures, error: describeError(error) };
      logEvent("error", "recording_not_uploaded", fields);
      return false;
    }
  }
}
