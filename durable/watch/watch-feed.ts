import { describeError, logEvent } from "../../common/log.ts";
import { markerLine } from "../recording/cast-lines.ts";
import type { LiveCast } from "./live-cast.ts";
import { ShownBlocks } from "./shown-blocks.ts";
import { type Carried, TrafficLines } from "./traffic-lines.ts";
import type { WatchBudget } from "./watch-budget.ts";
import type { WatchSink } from "./watch-sink.ts";
import { Watcher } from "./watcher.ts";

/** How long what a session shows waits for more of it, ms. An eye sees no difference. */
const GATHER_MS = 40;
/** How long watchers may take to read the rest of a session that has ended, ms. */
const LAST_READ_MS = 30_000;

export interface WatchFeedParts {
  readonly cast: LiveCast;
  /** Of all sessions of the object. */
  readonly budget: WatchBudget;
  /** The object is relaying a burst. */
  readonly isBusy: () => boolean;
  readonly now: () => number;
  /** What a session without a screen has carried. */
  readonly carried: () => Carried;
}

/** Why the feed ends a watch: see the audit log's `WatchEnd`. */
export type FeedEnd = "session_ended" | "too_slow" | "failed";

interface Watching {
  readonly watcher: Watcher;
  readonly onEnd: (why: FeedEnd) => void;
}

/**
 * Shows a live session to those who watch it. It reads the session's cast for each at the pace of its reader,
 * so that nothing is held for a slow one, and within a budget, so that the session does not pay for them.
 */
export class WatchFeed {
  readonly #parts: WatchFeedParts;
  readonly #watching = new Set<Watching>();
  readonly #blocks = new ShownBlocks();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #traffic: TrafficLines | undefined;
  #lastSeconds = 0;
  /** How the session ended. */
  #ended: { readonly label: string; readonly until: number } | undefined;

  constructor(parts: WatchFeedParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#watching.size;
  }

  /**
   * Somebody watches from now on: the session so far, and then what comes.
   *
   * @param over aborted when the watch is over for another reason than the feed's own
   * @param onEnd called where the feed has ended the watch
   * @param notice shown to this watcher first
   */
  add(sink: WatchSink, over: AbortSignal, onEnd: (why: FeedEnd) => void, notice?: string): void {
    const { cast, now } = this.#parts;
    const at = now();
    const isFirst = this.#watching.size === 0;
    const sources = cast.watch(at, () => this.#wake());
    if (isFirst) this.#lastSeconds = 0;
    const parts = {
      ...{ cast, sink, seconds: (when: number) => this.#seconds(when) },
      read: this.#blocks.read.bind(this.#blocks),
    };
    const watcher = new Watcher(parts, sources, at);
    const watching = { watcher, onEnd };
    this.#watching.add(watching);
    over.addEventListener("abort", () => this.#remove(watching));
    if (over.aborted) {
      this.#remove(watching);
      return;
    }
    watcher.start(at);
    if (notice !== undefined) watcher.notice(notice, at);
    // What there was is known as a sum only, which everybody who comes is shown.
    if (!cast.hasScreen) this.#traffic = new TrafficLines();
    this.#showTraffic(at);
    this.#run();
  }

  /** To be called every second or so. */
  tick(): void {
    const now = this.#parts.now();
    this.#showTraffic(now);
    for (const watching of [...this.#watching]) {
      if (watching.watcher.tick(now)) this.#drop(watching, "the watcher stopped reading", "too_slow");
    }
  }

  /** Sends all watchers something, by which it is noticed who has left. */
  probe(): void {
    const now = this.#parts.now();
    for (const { watcher } of [...this.#watching]) watcher.probe(now);
  }

  /** The session is over. @param label how it ended, as in its recording */
  end(label: string): void {
    const now = this.#parts.now();
    this.#showTraffic(now);
    this.#parts.cast.end(now);
    this.#ended = { label, until: now + LAST_READ_MS };
    this.#run();
  }

  #showTraffic(now: number): void {
    if (!this.#traffic || this.#watching.size === 0) return;
    const lines = this.#traffic.next(this.#parts.carried());
    if (lines !== "") this.#parts.cast.show(lines, now);
  }

  #wake(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, GATHER_MS);
  }

  /** A fault of Sallyport's own ends the watches. The session must not hear of it. */
  #run(): void {
    try {
      this.#showNext(this.#parts.now());
    } catch (error) {
      logEvent("error", "watch_failed", { session: this.#parts.cast.metadata.sessionId, error: describeError(error) });
      for (const watching of [...this.#watching]) this.#drop(watching, "Sallyport failed: try again", "failed");
    }
  }

  /** Sends each watcher a block in turn, until all have everything, have no room, or the budget is spent. */
  #showNext(now: number): void {
    const { cast, budget, isBusy } = this.#parts;
    cast.renew(now);
    const { sources } = cast;
    budget.refill(now, isBusy());
    let hasSent = true;
    while (hasSent && !budget.isSpent) {
      hasSent = false;
      for (const watching of this.#watching) {
        if (budget.isSpent) break;
        const block = watching.watcher.advance(sources, now);
        if (!block) continue;
        hasSent = true;
        budget.spend(block.bytes, block.lines);
        // The next round begins with another one.
        this.#watching.delete(watching);
        this.#watching.add(watching);
      }
    }
    if (this.#ended) this.#finish(this.#ended, now);
    const isBehind = [...this.#watching].some(({ watcher }) => !watcher.hasAll(sources, now));
    if (isBehind) this.#wake();
    else {
      this.#blocks.forget();
      cast.drop(now);
    }
  }

  #finish({ label, until }: { readonly label: string; readonly until: number }, now: number): void {
    const { cast } = this.#parts;
    for (const watching of [...this.#watching]) {
      const { watcher } = watching;
      if (now < until && !watcher.hasAll(cast.sources, now)) continue;
      if (!cast.isRecordedToItsEnd) watcher.sendLine(markerLine(this.#seconds(now), label), now);
      const message = `the session is over: ${label}`;
      watcher.notice(message, now);
      watcher.end(message);
      this.#remove(watching);
      watching.onEnd("session_ended");
    }
  }

  #drop(watching: Watching, message: string, why: FeedEnd): void {
    this.#remove(watching);
    watching.watcher.drop(message);
    watching.onEnd(why);
  }

  #remove(watching: Watching): void {
    if (!this.#watching.delete(watching) || this.#watching.size > 0) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#blocks.forget();
    this.#parts.cast.unwatch();
  }

  /** Never less than before, because the wall clock may be set back. */
  #seconds(now: number): number {
    this.#lastSeconds = Math.max(this.#lastSeconds, (now - this.#parts.cast.startedAt(now)) / 1000);
    return this.#lastSeconds;
  }
}
