import type { Chunk } from "../protocols/chunk.ts";
import { inUnits } from "../recording/policy.ts";

/** What is shown of a burst until the next `renew`. More costs the session, and nobody could see it. */
const BYTES_AT_ONCE = 128 * 1024;
/** What is kept of the rest, so that the last lines and the prompt are seen. */
const KEPT_BYTES = 16 * 1024;
/** In a flood of tiny frames each chunk costs far more memory than its bytes. */
const MAX_KEPT_CHUNKS = 1_024;

/** Where the chunks go that are shown. */
export interface ShownChunkSink {
  show(chunk: Chunk, now: number): void;
  /** Says that something is left out. */
  notice(text: string, now: number): void;
}

/** Thins out a burst of output that nobody records, before it costs anything. */
export class ShownChunks {
  readonly #sink: ShownChunkSink;
  #allowance = BYTES_AT_ONCE;
  #skippedBytes = 0;
  /** The last of what was skipped. */
  #kept: Chunk[] = [];
  #keptBytes = 0;

  constructor(sink: ShownChunkSink) {
    this.#sink = sink;
  }

  push(chunk: Chunk, now: number): void {
    if (this.#allowance > 0 && this.#keptBytes === 0) {
      this.#allowance -= chunk.size;
      this.#sink.show(chunk, now);
      return;
    }
    if (chunk.size === 0) return;
    // A view that is valid during the call only.
    const payload = chunk.payload.slice(-KEPT_BYTES);
    this.#skippedBytes += chunk.size - payload.length;
    this.#kept.push({ channel: chunk.channel, isText: chunk.isText, size: payload.length, payload });
    this.#keptBytes += payload.length;
    while (this.#kept.length > MAX_KEPT_CHUNKS || this.#keptBytes - (this.#kept[0]?.size ?? 0) >= KEPT_BYTES) {
      const size = this.#kept.shift()?.size ?? 0;
      this.#keptBytes -= size;
      this.#skippedBytes += size;
    }
  }

  /** To be called every now and then: what was kept is shown, and more may come. */
  renew(now: number): void {
    this.#allowance = BYTES_AT_ONCE;
    if (this.#kept.length === 0) return;
    const kept = this.#kept;
    const skipped = this.#skippedBytes;
    this.#kept = [];
    this.#keptBytes = 0;
    this.#skippedBytes = 0;
    if (skipped > 0) this.#sink.notice(leftOutNotice(skipped), now);
    for (const chunk of kept) this.push(chunk, now);
  }
}

/** Says that so many bytes were not shown. */
export function leftOutNotice(bytes: number): string {
  return `${inUnits(bytes)} are left out here: more than can be shown as it comes`;
}
