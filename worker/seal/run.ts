/**
 * One run of the sealing: rows of the audit log go to the bucket of recordings for good, and later leave D1.
 *
 *     rows ─► part (written, read back) ─► … ─► manifest ─► seal ─┄ keepMonths ┄─► verified again ─► rows leave D1
 *
 * What is done is in append-only tables of D1 (audit/seal/tables.ts), which accept a row only in its place.
 * So a run may be cut off at any point, and the next one goes on. Of two concurrent runs the first one's row
 * counts, and both write the same objects: see audit/seal/next-step.ts.
 */
import { DATABASE_ALARM_BYTES } from "../../audit/seal/database-size.ts";
import { monthsBefore } from "../../audit/seal/months.ts";
import { nextStep, SEAL_LIMITS, type SealLimits, type SealStep } from "../../audit/seal/next-step.ts";
import {
  deleteSealedRows,
  findRowSince,
  insertPart,
  lastRemovedRow,
  oldestKeptSeal,
  partsBetween,
  readSealProgress,
  rowsBetween,
  type SealProgress,
} from "../../audit/seal/queries.ts";
import { logEvent } from "../../common/log.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { beginRemoval, closeRange } from "./close-range.ts";
import { withD1Timeout } from "./d1-timeout.ts";
import { objectMissing } from "./failure.ts";
import { SealStore } from "./store.ts";
import { writePart } from "./write-part.ts";

/**
 * What one run does at most. After a run that was cut off, the next one goes on with the part that is
 * missing: each is written and noted by itself. A part takes 0.6 s of the 30 s of CPU time of an invocation.
 *
 * A part takes at most 13 calls to D1 and R2. The end of a range, and the verification before a removal, take
 * one for each part (170 in a range of small rows). That is below 600 calls, and the export in the same
 * invocation has at most 400 of the platform's 1,000: see worker/scheduled.ts.
 */
export interface SealRunLimits extends SealLimits {
  readonly maxSteps: number;
  readonly maxDeletes: number;
  /** Rows that one statement deletes: D1 answers nobody else meanwhile. */
  readonly maxRowsPerDelete: number;
  /** A run begins nothing after this time. */
  readonly budgetMs: number;
  /**
   * Closing a range reads all of its parts, and so does the verification before it leaves. What was read is
   * in memory alone, so a run that stops between two parts begins again next time. Each therefore has a time
   * of its own, many times what 170 parts need: 0.13 s each with 10,000 people, so 22 s in all. That is
   * enough until D1 is more than ten times as slow; then the log says so at each run (`seal_failed`). An
   * invocation of the cron trigger has 15 minutes.
   */
  readonly rangeBudgetMs: number;
}

export const SEAL_RUN_LIMITS: SealRunLimits = {
  ...SEAL_LIMITS,
  maxSteps: 8,
  maxDeletes: 20,
  maxRowsPerDelete: 1_000,
  budgetMs: 60_000,
  rangeBudgetMs: 300_000,
};

export interface SealDependencies {
  readonly database: D1Database;
  /** The bucket of recordings. */
  readonly bucket: R2Bucket;
  /** How many months after its seal a range leaves D1; null for never. */
  readonly keepMonths: number | null;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly limits?: SealRunLimits;
}

export interface SealOutcome {
  readonly parts: number;
  readonly rows: number;
  readonly seals: number;
  readonly removed: number;
  /** For a person; null unless something failed. */
  readonly error: string | null;
}

/** Seals and removes what is due, and logs it. Never rejects. */
export async function runSeal(dependencies: SealDependencies): Promise<SealOutcome> {
  const run = new SealRun(dependencies);
  let done: Result<void, string>;
  try {
    done = await run.seal();
    if (done.ok) done = await run.remove();
  } catch (error) {
    // D1 or R2 failed. The next run tries again.
    done = err(error instanceof Error ? error.message : String(error));
  }
  const { parts, rows, seals, removed } = run;
  if (!done.ok) logEvent("error", "seal_failed", { parts, rows, seals, removed, error: done.error });
  else if (parts + seals + removed > 0) logEvent("log", "seal_progressed", { parts, rows, seals, removed });
  return { parts, rows, seals, removed, error: done.ok ? null : done.error };
}

class SealRun {
  parts = 0;
  rows = 0;
  seals = 0;
  removed = 0;
  readonly #dependencies: SealDependencies;
  readonly #limits: SealRunLimits;
  readonly #store: SealStore;
  readonly #deadline: number;

  constructor(dependencies: SealDependencies) {
    this.#dependencies = dependencies;
    this.#limits = dependencies.limits ?? SEAL_RUN_LIMITS;
    this.#store = new SealStore(dependencies.bucket);
    this.#deadline = dependencies.now() + this.#limits.budgetMs;
  }

  async seal(): Promise<Result<void, string>> {
    const { database, now } = this.#dependencies;
    for (let steps = 0; steps < this.#limits.maxSteps && this.#hasTime(); steps++) {
      const progress = await withD1Timeout(readSealProgress(database));
      if (steps === 0) {
        warnOfSize(progress.databaseBytes);
        const { newestSeal } = progress;
        if (newestSeal && !(await this.#store.exists(newestSeal.key)))
          return err(objectMissing(newestSeal.key).message);
      }
      const at = now();
      const step = await nextStep(
        progress.range,
        at,
        (bounds) => withD1Timeout(findRowSince(database, { ...bounds, now: at })),
        this.#limits,
      );
      if (step.kind === "wait") return ok(undefined);
      const taken = await this.#take(step, progress);
      if (!taken.ok) return taken;
    }
    return ok(undefined);
  }

  async #take(step: Exclude<SealStep, { kind: "wait" }>, progress: SealProgress): Promise<Result<void, string>> {
    const { database, now } = this.#dependencies;
    if (step.kind === "close") {
      const { month, closedBy } = step;
      const { firstRow, writtenTo } = progress.range;
      const range = { firstRow, lastRow: writtenTo, month, closedBy, previous: progress.newestSeal };
      const closed = await closeRange(database, this.#store, range, now(), this.#rangeTime());
      if (!closed.ok) return err(closed.error.message);
      if (!closed.value) return err(outOfTime("to close", range));
      this.seals++;
      return ok(undefined);
    }
    const { firstRow, lastRow } = step;
    const read = (first: number, last: number) => withD1Timeout(rowsBetween(database, first, last));
    const written = await writePart(this.#store, read, { firstRow, lastRow, maxChars: this.#limits.maxPartChars });
    if (!written.ok) return err(written.error.message);
    if (!written.value) return ok(undefined);
    await withD1Timeout(insertPart(database, written.value));
    this.parts++;
    this.rows += written.value.rows;
    return ok(undefined);
  }

  /** Lets the oldest range leave once it is due, and deletes what may leave. */
  async remove(): Promise<Result<void, string>> {
    const { database, keepMonths } = this.#dependencies;
    if (keepMonths === null) return ok(undefined);
    const begun = this.#hasTime() ? await this.#beginRemoval(keepMonths) : ok(undefined);
    // Also of earlier ranges, whatever is wrong with this one.
    const lastRow = await withD1Timeout(lastRemovedRow(database));
    for (let deletes = 0; lastRow > 0 && deletes < this.#limits.maxDeletes && this.#hasTime(); deletes++) {
      const deleted = await withD1Timeout(deleteSealedRows(database, lastRow, this.#limits.maxRowsPerDelete));
      this.removed += deleted;
      if (deleted < this.#limits.maxRowsPerDelete) break;
    }
    return begun;
  }

  async #beginRemoval(keepMonths: number): Promise<Result<void, string>> {
    const { database, now } = this.#dependencies;
    const oldest = await withD1Timeout(oldestKeptSeal(database));
    if (!oldest || oldest.sealed_at > monthsBefore(now(), keepMonths)) return ok(undefined);
    const { first_row: firstRow, last_row: lastRow } = oldest;
    // Once more in full: after this D1 has no copy any more.
    const parts = await withD1Timeout(partsBetween(database, firstRow, lastRow));
    const hasTime = this.#rangeTime();
    for (const { key, sha256 } of [oldest, ...parts]) {
      if (!hasTime()) return err(outOfTime("to verify", { firstRow, lastRow }));
      const verified = await this.#store.verify(key, sha256);
      if (!verified.ok) return err(verified.error.message);
    }
    await beginRemoval(database, oldest, keepMonths, now());
    return ok(undefined);
  }

  #hasTime(): boolean {
    return this.#dependencies.now() < this.#deadline;
  }

  /** Starts the time of a work on a whole range. */
  #rangeTime(): () => boolean {
    const { now } = this.#dependencies;
    const end = now() + this.#limits.rangeBudgetMs;
    return () => now() < end;
  }
}

function outOfTime(
  work: string,
  { firstRow, lastRow }: { readonly firstRow: number; readonly lastRow: number },
): string {
  return `it took too long ${work} rows ${firstRow} to ${lastRow}, and nothing was written: the next run begins again`;
}

function warnOfSize(bytes: number | null): void {
  if (bytes !== null && bytes >= DATABASE_ALARM_BYTES) logEvent("error", "audit_database_filling", { bytes });
}
