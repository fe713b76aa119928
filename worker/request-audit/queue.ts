/**
 * Brings rows to D1 off the requests' path: rows wait in memory, one write at a time takes many.
 *
 * One queue an isolate, shared by its requests. A request lends it time after its answer (`waitUntil`), and any of them may
 * be cut off by the platform while it holds the queue's timer or write; so each of these has a deadline, after which the
 * next request takes over. Rows leave the queue when D1 has confirmed them, and D1 ignores a second copy.
 */
import type { Category } from "../../audit/requests.ts";
import type { RequestRow } from "../../audit/rows.ts";
import { summaryRow, Tally, type UnsavedRow } from "./tally.ts";

/** What a request lends: time after its answer, and its way to D1. */
export interface QueueDependencies {
  waitUntil(work: Promise<unknown>): void;
  write(rows: readonly RequestRow[]): Promise<void>;
}

export interface Clock {
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** About 4 MB at the very most. */
export const MAX_ROWS = 1_000;
/** Of these places for what anybody makes many of at no cost; the rest is kept for what is worse to miss. */
export const MAX_COMMON_ROWS = 750;
const COMMON: ReadonlySet<Category> = new Set(["denied", "mutation"]);
/** Of tokens' rows these: whoever has signed in may ask what they may do, as often as they like. */
const REVIEWS: ReadonlySet<string | null> = new Set(["authentication.k8s.io", "authorization.k8s.io"]);

export const BATCH_ROWS = 50;
/** So that a command's requests share a write, and little is lost with an isolate. */
export const FLUSH_AFTER_MS = 500;
/** Counted requests are written so often. Within the 30 s that a request may work on after its answer. */
export const WINDOW_MS = 10_000;
/** How long one request goes on writing; the next one takes over. */
const FLUSH_BUDGET_MS = 15_000;
const RETRY_FIRST_MS = 1_000;
/** How late a timer or a write may be before it is taken for cut off. More than a write's own timeout. */
const GRACE_MS = 12_000;
/** A row that D1 refused so often by itself, while it took others, is given up. */
const MAX_STRIKES = 3;

function isCommon({ category, api_group }: UnsavedRow): boolean {
  return COMMON.has(category) || (category === "token" && REVIEWS.has(api_group));
}

interface Entry {
  readonly row: RequestRow;
  strikes: number;
  /** Writes that D1 had taken when it last refused this row by itself. */
  takenBefore: number;
}

export class RequestQueue {
  readonly #makeId: (at: number) => string;
  readonly #clock: Clock;
  readonly #counted = new Tally();
  readonly #lost = new Tally();
  #entries: Entry[] = [];
  /** When a timer is due; 0: none runs. */
  readonly #due = { rows: 0, window: 0 };
  /** Until when a write must be over; 0: none is under way. */
  #flushingUntil = 0;
  #isFailing = false;
  #taken = 0;
  /** After a batch failed: so many rows are tried one by one, for one of them may be what D1 does not take. */
  #alone = 0;

  constructor(makeId: (at: number) => string, clock: Clock) {
    this.#makeId = makeId;
    this.#clock = clock;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Queues a row, or counts it as lost where there is no room. Returns at once. */
  push(row: UnsavedRow, means: QueueDependencies): void {
    const isFull = this.#entries.length >= (isCommon(row) ? MAX_COMMON_ROWS : MAX_ROWS);
    if (isFull && !this.#makeRoomFor(row, means)) {
      this.#lose(row, "the queue was full");
      this.#wake("window", WINDOW_MS, means);
    } else {
      this.#enqueue(row);
    }
    if (this.#entries.length >= BATCH_ROWS) this.#flushBy(means);
    else this.#wake("rows", FLUSH_AFTER_MS, means);
  }

  /** Counts a request that gets no row of its own. Returns at once. */
  count(row: UnsavedRow, means: QueueDependencies): void {
    this.#counted.add(row);
    this.#wake("window", WINDOW_MS, means);
  }

  #enqueue(row: UnsavedRow): void {
    const entry = { row: { id: this.#makeId(row.at), ...row }, strikes: 0, takenBefore: Number.POSITIVE_INFINITY };
    this.#entries.push(entry);
  }

  /**
   * The newest row of the user who has most of them gives way: nobody's flood may hide what others did.
   *
   * @returns whether there was one with more than this row's user
   */
  #makeRoomFor(row: UnsavedRow, means: QueueDependencies): boolean {
    const rivals = isCommon(row) ? this.#entries.filter((entry) => isCommon(entry.row)) : this.#entries;
    const counts = new Map<string | null, number>();
    for (const { row: waiting } of rivals) counts.set(waiting.user, (counts.get(waiting.user) ?? 0) + 1);
    const most = Math.max(0, ...counts.values());
    if (most <= (counts.get(row.user) ?? 0) + 1) return false;
    const newest = rivals.findLast((entry) => counts.get(entry.row.user) === most);
    if (!newest) return false;
    this.#entries.splice(this.#entries.lastIndexOf(newest), 1);
    this.#lose(newest.row, "the queue was full");
    this.#wake("window", WINDOW_MS, means);
    return true;
  }

  #lose(row: UnsavedRow, why: string): void {
    if (this.#lost.isEmpty) console.error(`audit: request rows are lost from here on, ${why}; how many will follow`);
    const reason = `not written, ${why}; they were of category ${row.category}`;
    this.#lost.add(
      summaryRow(row, { category: "dropped", decision: null, refusal: null, reason, client_address: null }),
    );
  }

  #wake(timer: "rows" | "window", ms: number, means: QueueDependencies): void {
    const now = this.#clock.now();
    if (now < this.#due[timer] + GRACE_MS) return;
    this.#due[timer] = now + ms;
    means.waitUntil(
      this.#clock.sleep(ms).then(() => {
        this.#due[timer] = 0;
        return this.#flush(means);
      }),
    );
  }

  #flushBy(means: QueueDependencies): void {
    if (this.#clock.now() >= this.#flushingUntil) means.waitUntil(this.#flush(means));
  }

  /** Writes until nothing waits, D1 has failed for too long, or this request's time is over. */
  async #flush({ write }: QueueDependencies): Promise<void> {
    const start = this.#clock.now();
    if (start < this.#flushingUntil) return;
    this.#flushingUntil = start + FLUSH_BUDGET_MS + GRACE_MS;
    try {
      for (let failures = 0; this.#clock.now() < start + FLUSH_BUDGET_MS; ) {
        if (!this.#isFailing && this.#due.window === 0) this.#tellCounts();
        const batch = this.#entries.slice(0, this.#alone > 0 ? 1 : BATCH_ROWS);
        if (batch.length === 0) return;
        if (await this.#deliver(write, batch)) failures = 0;
        else await this.#clock.sleep(RETRY_FIRST_MS * 2 ** failures++);
      }
    } finally {
      this.#flushingUntil = 0;
    }
  }

  /** What was counted becomes rows, beyond the queue's bound: a few, and not before those of the last window are out. */
  #tellCounts(): void {
    if (!this.#lost.isEmpty) console.error(`audit: ${this.#lost.total} request rows were lost`);
    for (const row of [...this.#counted.drain(), ...this.#lost.drain()]) this.#enqueue(row);
  }

  async #deliver(write: QueueDependencies["write"], batch: readonly Entry[]): Promise<boolean> {
    try {
      await write(batch.map(({ row }) => row));
    } catch (error) {
      this.#isFailing = true;
      const lost = this.#lost.isEmpty ? "" : `, ${this.#lost.total} are lost`;
      console.error(
        `audit: D1 took none of ${batch.length} request rows, ${this.#entries.length} wait${lost}: ${String(error)}`,
      );
      const [only, ...others] = batch;
      if (only && others.length === 0) this.#setBack(only);
      else this.#alone = batch.length;
      return false;
    }
    this.#isFailing = false;
    this.#taken++;
    this.#remove(batch);
    return true;
  }

  /** To the end of the queue with it, or out of it: it must not keep the others waiting for ever. */
  #setBack(entry: Entry): void {
    if (this.#taken > entry.takenBefore) entry.strikes++;
    entry.takenBefore = this.#taken;
    this.#remove([entry]);
    if (entry.strikes < MAX_STRIKES) this.#entries.push(entry);
    else this.#lose(entry.row, "D1 refused them");
  }

  #remove(batch: readonly Entry[]): void {
    const gone = new Set(batch);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    if (this.#alone > 0) this.#alone--;
  }
}
