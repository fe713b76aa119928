/**
 * Tells pages that requests for access have changed: by the stream while there is one, else by time. One for
 * all that a page shows, and only while somebody sees it.
 */
import type { AccessRecordJson } from "../../../worker/api/schemas/live.ts";
import type { StreamHandler } from "./stream.ts";

/** How often something is asked for again that no stream tells of, ms. */
export const AGAIN_AFTER_MS = 15_000;

/** A burst of records is one change. */
const GATHER_MS = 50;
/** Changes follow each other no faster: each makes pages ask again, and must not cut their last call off. */
const APART_MS = 1_000;

type Change = Exclude<AccessRecordJson, { readonly type: "alive" }>;
/** What has changed; undefined: anything may have. */
export type AccessChanged = readonly Change[] | undefined;
type Listener = (changed: AccessChanged) => void;

/** What it needs of the browser. */
export interface AccessChangesBrowser {
  /** Follows the stream, as `followLines` does. */
  follow(handler: StreamHandler<AccessRecordJson>, signal: AbortSignal): void;
  isVisible(): boolean;
  /** @returns stops it */
  onVisibility(listener: () => void): () => void;
}

export class AccessChanges {
  readonly #browser: AccessChangesBrowser;
  readonly #listeners = new Set<Listener>();
  #stopWatching: (() => void) | undefined;
  #connection: AbortController | undefined;
  /** Runs while there is no stream. */
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Runs while there is something to tell. */
  #telling: ReturnType<typeof setTimeout> | undefined;
  #untold: AccessChanged = [];
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(browser: AccessChangesBrowser) {
    this.#browser = browser;
  }

  /** @returns ends it */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) {
      this.#stopWatching = this.#browser.onVisibility(() => this.#follow());
      this.#follow();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stopWatching?.();
      this.#leave();
    };
  }

  /** Follows the stream while the page is visible. */
  #follow(): void {
    this.#leave();
    if (!this.#browser.isVisible()) return;
    const connection = new AbortController();
    this.#connection = connection;
    // What has changed before the stream began is not in it.
    let isKnown = false;
    this.#browser.follow(
      {
        onOpen: () => {
          isKnown = false;
        },
        onRecord: (record) => {
          this.#stopTimer();
          if (record.type === "alive") return;
          this.#tellSoon(isKnown ? record : undefined);
          isKnown = true;
        },
        onDown: () => {
          if (this.#timer !== undefined) return;
          this.#tellSoon(undefined);
          this.#timer = setInterval(() => this.#tellSoon(undefined), AGAIN_AFTER_MS);
        },
      },
      connection.signal,
    );
  }

  #leave(): void {
    this.#connection?.abort();
    this.#connection = undefined;
    this.#stopTimer();
    clearTimeout(this.#telling);
    this.#telling = undefined;
    this.#untold = [];
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tellSoon(change: Change | undefined): void {
    this.#untold = change && this.#untold && [...this.#untold, change];
    this.#telling ??= setTimeout(() => this.#tell(), Math.max(GATHER_MS, this.#toldAt + APART_MS - performance.now()));
  }

  #tell(): void {
    const changed = this.#untold;
    this.#telling = undefined;
    this.#untold = [];
    this.#toldAt = performance.now();
    for (const listener of [...this.#listeners]) listener(changed);
  }
}
