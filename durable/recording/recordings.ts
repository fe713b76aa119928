import type { RecordingSummary } from "../../audit/events.ts";
import type { RecordingBlock, RecordingPolicy } from "../../contract/recording.ts";
import { type CastFacts, DEFAULT_SIZE, headerLine, markerLine, noticeLine } from "./cast-lines.ts";
import { LiveRecording, type OnMustEnd } from "./live-recording.ts";
import { FLUSH_MS, MAX_SPOOL_BYTES, READ_BLOCK_BYTES, UPLOAD_PRESSURE_RATIO } from "./policy.ts";
import { readSpooled } from "./read-spooled.ts";
import { Spool, type SpooledRecording } from "./spool.ts";
import { uploadReady } from "./upload.ts";

const RETRY_FIRST_MS = 1_000;
const RETRY_MOST_MS = 300_000;

export interface NewRecording {
  readonly facts: CastFacts;
  readonly policy: RecordingPolicy;
  /** What the upstream chose, `""` for none. */
  readonly subprotocol: string;
  readonly onMustEnd: OnMustEnd;
}

/**
 * All recordings of one object: the live ones, and those that wait for R2. One upload at a time, one part of it in memory.
 */
export class Recordings {
  readonly #spool: Spool;
  readonly #bucket: R2Bucket;
  readonly #onReady: () => void;
  readonly #maxSpoolBytes: number;
  readonly #isBusy: () => boolean;
  readonly #live = new Map<string, LiveRecording>();
  readonly #dirty = new Set<LiveRecording>();
  #flushing: ReturnType<typeof setTimeout> | null = null;
  #uploading: Promise<void> | undefined;
  #again = false;
  /** A part is full, or was left for later. */
  #hasReady = false;
  #failures = 0;

  /**
   * @param onReady a recording has ended and waits for `upload`
   * @param options.isBusy the object has better things to do just now than to upload
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

  /** Starts to record a session that the cluster has accepted. Throws where the object's storage takes nothing. */
  begin({ facts, policy, subprotocol, onMustEnd }: NewRecording, now: number): LiveRecording {
    const recording: LiveRecording = new LiveRecording({
      facts,
      policy,
      subprotocol,
      spool: this.#spool,
      number: this.#spool.begin(facts, now),
      maxSpoolBytes: this.#maxSpoolBytes,
      onDirty: () => this.#flushSoon(recording),
      onPart: () => {
        this.#hasReady = true;
      },
      onMustEnd,
    });
    this.#live.set(facts.sessionId, recording);
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
   * Ends the recordings that an earlier life of the object left open; to be called when the object starts, before any
   * session opens.
   *
   * @returns what the record says of each, by session
   */
  endInterrupted(): Map<string, RecordingSummary> {
    const ended = this.#spool.open().map((recording) => [recording.id, this.#endInterrupted(recording)] as const);
    if (ended.length > 0) this.#onReady();
    return new Map(ended);
  }

  /** Resolves when R2 has all that is ready, or failed, or the object is busy. Joins an upload that is under way. Never rejects. */
  upload(): Promise<void> {
    // What becomes ready while the others are brought would otherwise wait for the next call.
    this.#again = true;
    this.#uploading ??= this.#uploadAll().finally(() => {
      this.#uploading = undefined;
    });
    return this.#uploading;
  }

  /** Whether parts of open recordings are ready for `upload`, and this is a time for it. To be asked every second or so. */
  get isDue(): boolean {
    return this.#hasReady && !this.isFailing && this.#mayUpload();
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** How long to wait before the next try: exponential from 1 s to 5 minutes while R2 fails. */
  get retryInMs(): number {
    return Math.min(RETRY_FIRST_MS * 2 ** Math.max(0, this.#failures - 1), RETRY_MOST_MS);
  }

  /** Whether anything here is still to go to R2, now or later. */
  get hasWaiting(): boolean {
    return this.#spool.waiting().length > 0;
  }

  /**
   * A piece of a recording that is not in R2, from a byte of the cast on; see `readSpooled`. A live one's last
   * second is in it.
   */
  read(sessionId: string, offset: number, now: number): RecordingBlock | null {
    if (offset === 0) this.#live.get(sessionId)?.flush(now);
    return readSpooled(this.#spool, sessionId, offset, READ_BLOCK_BYTES);
  }

  #mayUpload(): boolean {
    return !this.#isBusy() || this.#spool.bytesHeld > this.#maxSpoolBytes * UPLOAD_PRESSURE_RATIO;
  }

  #flushSoon(recording: LiveRecording): void {
    this.#dirty.add(recording);
    this.#flushing ??= setTimeout(() => {
      this.#flushing = null;
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const each of dirty) each.flush(Date.now());
    }, FLUSH_MS);
  }

  #endInterrupted(recording: SpooledRecording): RecordingSummary {
    const { id, number, facts, first_at, last_at } = recording;
    const words = "recording interrupted here: the object that held the session stopped (crash, eviction or deploy)";
    const seconds = (last_at - (first_at ?? last_at)) / 1000;
    const start = this.#spool.size(recording);
    const header = start === 0 ? headerLine(facts, DEFAULT_SIZE, last_at) : "";
    const lines = new TextEncoder().encode(header + noticeLine(seconds, words) + markerLine(seconds, "interrupted"));
    this.#spool.append(number, start, lines, last_at);
    this.#spool.end(id);
    return { state: "interrupted", bytes: start + lines.length, reason: words };
  }

  async #uploadAll(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      this.#hasReady = false;
      for (const { id } of this.#spool.waiting()) {
        if (!(await this.#uploadOne(id))) return;
      }
      this.#hasReady ||= !this.#mayUpload();
    }
  }

  /** @returns whether R2 took what was ready */
  async #uploadOne(id: string): Promise<boolean> {
    try {
      await uploadReady(this.#bucket, this.#spool, id, () => this.#mayUpload());
      this.#failures = 0;
      return true;
    } catch (error) {
      this.#failures++;
      this.#spool.failed(id);
      console.error(`recording: R2 did not take session ${id} (try ${this.#failures}): ${String(error)}`);
      return false;
    }
  }
}
