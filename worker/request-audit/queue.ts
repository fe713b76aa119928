/**
 * Brings rows to D1 outside the requests' path. Rows wait in memory, and each write takes many of them.
 *
 * There is one queue per isolate, shared by its requests. A request lends it time after its answer
 * (`waitUntil`), and the platform may cut off any of them while it holds the queue's timer or write. So both
 * have a deadline, after which the next request takes over. Rows leave the queue when D1 has confirmed them,
 * and D1 ignores a second copy.
 */
import type { Category } from "../../audit/request-categories.ts";
import type { StoredRequestRow } from "../../audit/rows.ts";
import { type BackoffLimits, backoffMs } from "../../common/backoff.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { summaryRow, Tally, type UnsavedRow } from "./tally.ts";

/** What a request lends to the queue: time after its answer, and its access to D1. */
export interface QueueDependencies {
  waitUntil(work: Promise<unknown>): void;
  write(rows: readonly StoredRequestRow[]): Promise<void>;
}

export interface Clock {
  /** ms since the epoch */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** About 4 MB at most. */
export const MAX_ROWS = 1_000;
/** How many of them may be rows that anybody can cause in number. The rest is for rows that matter more. */
export const MAX_COMMON_ROWS = 750;
const COMMON: ReadonlySet<Category> = new Set(["denied", "mutation"]);
/**
 * The `token` rows that are common: everybody may ask for reviews of their own access, as often as they like.
 */
const REVIEWS: ReadonlySet<string | null> = new Set(["authentication.k8s.io", "authorization.k8s.io"]);

export const BATCH_ROWS = 50;
/**
 * Long enough for the requests of one command to share a write, short enough to lose little with an isolate.
 */
export const FLUSH_AFTER_MS = 500;
/**
 * How often counted requests are written. Well within the 30 s that a request may work on after its answer.
 */
export const WINDOW_MS = 10_000;
/** How long one request goes on writing. Then the next one takes over. */
const FLUSH_BUDGET_MS = 15_000;
const RETRY: BackoffLimits = { firstMs: 1_000, maxMs: 8_000 };
/** How late a timer or a write may be before it counts as cut off. More than the timeout of a write. */
const GRACE_MS = 12_000;
/** How often D1 may refuse a row by itself, while it takes others, before the row is given up. */
const MAX_STRIKES = 3;

function isCommon({ category, api_group }: UnsavedRow): boolean {
  return COMMON.has(category) || (category === "token" && REVIEWS.has(api_group));
}

interface Entry {
  readonly row: StoredRequestRow;
  strikes: number;
  /** How many writes D1 had accepted when it last refused this row by itself. */
  acceptedBefore: number;
}

export class RequestQueue {
  readonly #makeId: (at: number) => string;
  readonly #clock: Clock;
  readonly #counted = new Tally();
  readonly #lost = new Tally();
  #entries: Entry[] = [];
  /** When each timer is due, ms since the epoch; 0 if it does not run. */
  readonly #due = { rows: 0, window: 0 };
  /** When the current write must be over, ms since the epoch; 0 if there is none. */
  #flushingUntil = 0;
  #isFailing = false;
  #acceptedWrites = 0;
  /** How many rows are to be written one by one: a batch failed, and D1 may refuse a single row of it. */
  #oneByOne = 0;

  constructor(makeId: (at: number) => string, clock: Clock) {
    this.#makeId = makeId;
    this.#clock = clock;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Queues a row, or counts it as lost where there is no room. Returns at once. */
  push(row: UnsavedRow, dependencies: QueueDependencies): void {
    const isFull = this.#entries.length >= (isCommon(row) ? MAX_COMMON_ROWS : MAX_ROWS);
    if (isFull && !this.#makeRoomFor(row, dependencies)) {
      this.#lose(row, "the queue was full");
      this.#wake("window", WINDOW_MS, dependencies);
    } else {
      this.#enqueue(row);
    }
    if (this.#entries.length >= BATCH_ROWS) this.#flushBy(dependencies);
    else this.#wake("rows", FLUSH_AFTER_MS, dependencies);
  }

  /** Counts a request that gets no row of its own. Returns at once. */
  count(row: UnsavedRow, dependencies: QueueDependencies): void {
    this.#counted.add(row);
    this.#wake("window", WINDOW_MS, dependencies);
  }

  #enqueue(row: UnsavedRow): void {
    const entry = { row: { id: this.#makeId(row.at), ...row }, strikes: 0, acceptedBefore: Number.POSITIVE_INFINITY };
    this.#entries.push(entry);
  }

  /**
   * Evicts the newest row of the user who has the most rows: no user's flood may hide what others did.
   *
   * @returns false where nobody has more rows than this row's user
   */
  #makeRoomFor(row: UnsavedRow, dependencies: QueueDependencies): boolean {
    const rivals = isCommon(row) ? this.#entries.filter((entry) => isCommon(entry.row)) : this.#entries;
    const counts = new Map<string | null, number>();
    for (const { row: waiting } of rivals) counts.set(waiting.user, (counts.get(waiting.user) ?? 0) + 1);
    const most = Math.max(0, ...counts.values());
    if (most <= (counts.get(row.user) ?? 0) + 1) return false;
    const newest = rivals.findLast((entry) => counts.get(entry.row.user) === most);
    if (!newest) return false;
    this.#entries.splice(this.#entries.lastIndexOf(newest), 1);
    this.#lose(newest.row, "the queue was full");
    this.#wake("window", WINDOW_MS, dependencies);
    return true;
  }

  #lose(row: UnsavedRow, cause: string): void {
    if (this.#lost.isEmpty) logEvent("error", "request_rows_losing", { cause });
    const reason = `not written: ${cause}; of category ${row.category}`;
    this.#lost.add(
      summaryRow(row, { category: "dropped", decision: null, refusal: null, reason, client_address: null }),
    );
  }

  #wake(timer: "rows" | "window", ms: number, dependencies: QueueDependencies): void {
    const now = this.#clock.now();
    if (now < this.#due[timer] + GRACE_MS) return;
    this.#due[timer] = now + ms;
    dependencies.waitUntil(
      this.#clock.sleep(ms).then(() => {
        this.#due[timer] = 0;
        return this.#flush(dependencies);
      }),
    );
  }

  #flushBy(dependencies: QueueDependencies): void {
    if (this.#clock.now() >= this.#flushingUntil) dependencies.waitUntil(this.#flush(dependencies));
  }

  /** Writes until no row waits, or this request's time is over. */
  async #flush({ write }: QueueDependencies): Promise<void> {
    const start = this.#clock.now();
    if (start < this.#flushingUntil) return;
    this.#flushingUntil = start + FLUSH_BUDGET_MS + GRACE_MS;
    try {
      for (let failures = 0; this.#clock.now() < start + FLUSH_BUDGET_MS; ) {
        if (!this.#isFailing && this.#due.window === 0) this.#enqueueCounts();
        const batch = this.#entries.slice(0, this.#oneByOne > 0 ? 1 : BATCH_ROWS);
        if (batch.length === 0) return;
        if (await this.#deliver(write, batch)) failures = 0;
        else await this.#clock.sleep(backoffMs(++failures, RETRY));
      }
    } finally {
      this.#flushingUntil = 0;
    }
  }

  /** Turns counts into rows, which may exceed the queue's bound by a few. */
  #enqueueCounts(): void {
    if (!this.#lost.isEmpty) logEvent("error", "request_rows_lost", { rows: this.#lost.total });
    for (const row of [...this.#counted.drain(), ...this.#lost.drain()]) this.#enqueue(row);
  }

  async #deliver(write: QueueDependencies["write"], batch: readonly Entry[]): Promise<boolean> {
    try {
      await write(batch.map(({ row }) => row));
    } catch (error) {
      this.#isFailing = true;
      const [rows, waiting, lost] = [batch.length, this.#entries.length, this.#lost.total];
      logEvent("error", "request_rows_not_delivered", { rows, waiting, lost, error: describeError(error) });
      const [only, ...others] = batch;
      if (only && others.length === 0) this.#setBack(only);
      else this.#oneByOne = batch.length;
      return false;
    }
    this.#isFailing = false;
    this.#acceptedWrites++;
    this.#remove(batch);
    return true;
  }

  /** Moves a row to the end of the queue, or drops it: it must not block the others for ever. */
  #setBack(entry: Entry): void {
    if (this.#acceptedWrites > entry.acceptedBefore) entry.strikes++;
    entry.acceptedBefore = this.#acceptedWrites;
    this.#remove([entry]);
    if (entry.strikes < MAX_STRIKES) this.#entries.push(entry);
    else this.#lose(entry.row, "D1 refused the row");
  }

  #remove(batch: readonly Entry[]): void {
    const gone = new Set(batch);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    if (this.#oneByOne > 0) this.#oneByOne--;
  }
}
