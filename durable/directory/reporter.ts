import { jitteredBackoffMs } from "../../common/backoff.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { MAX_REPORTED_SESSIONS, type Report, type ReportAnswer } from "../../contract/directory.ts";
import { directoryRow, liveCounts, type ReportedSession } from "./directory-row.ts";

const REPORT_TIMEOUT_MS = 5_000;
const RETRY_BACKOFF = { firstMs: 4_000, maxMs: 60_000 };
/** Calls that a hanging directory never answers stay in memory. After so many nothing more is sent. */
const MAX_UNANSWERED = 3;
/** A directory that is away for an hour must not fill the log. */
const LOG_EVERY_FAILURES = 10;

/** What the reporter needs from its object. */
export interface ReporterDependencies {
  readonly objectId: string;
  /** The object's live sessions. */
  readonly sessions: () => Iterable<ReportedSession>;
  /** Brings a report to the directory. May throw, and may take for ever. */
  readonly send: (report: Report) => Promise<ReportAnswer>;
  /** ms since the epoch */
  readonly now: () => number;
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number;
}

/**
 * Tells the directory what is live in one user's object: soon after a session has begun or ended, and every
 * few seconds while any is open.
 *
 * No session waits for it, and nothing here throws. What does not arrive is left to the next report; after
 * the last one, to the directory's lease.
 */
export class DirectoryReporter {
  readonly #dependencies: ReporterDependencies;
  /** Sessions whose rows the directory has. */
  #known: ReadonlySet<string> = new Set();
  /** A session has begun or ended since the last report. */
  #hasChanged = false;
  /** The directory may believe that sessions are live here. */
  #mayBeListed = false;
  #isReporting = false;
  #unanswered = 0;
  #failures = 0;
  #dueAt = 0;
  #lastAt = 0;

  constructor(dependencies: ReporterDependencies) {
    this.#dependencies = dependencies;
  }

  /** To be called when a session was added or removed, or waits or goes on, with how many there are now. */
  sessionsChanged(count: number): void {
    this.#hasChanged = true;
    // Nobody ticks while no session is open.
    if (count === 0) this.tick();
  }

  /** Sessions of an earlier life of the object, of which the directory may still know, are over. */
  sessionsInterrupted(): void {
    this.#mayBeListed = true;
    this.sessionsChanged(0);
  }

  /** To be called every second or so while sessions are open. */
  tick(): void {
    if (this.#isDue()) void this.#report();
  }

  #isDue(): boolean {
    if (this.#isReporting || this.#unanswered >= MAX_UNANSWERED) return false;
    if (!this.#mayBeListed && !hasAny(this.#dependencies.sessions())) return false;
    const isTime = this.#dependencies.now() >= this.#dueAt;
    return this.#failures > 0 ? isTime : this.#hasChanged || isTime;
  }

  /** Never rejects. */
  async #report(): Promise<void> {
    const { now, random } = this.#dependencies;
    this.#isReporting = true;
    try {
      const report = this.#makeReport();
      const hasSessions = report.sessions.length > 0;
      this.#hasChanged = false;
      this.#mayBeListed ||= hasSessions;
      const { missing, nextInMs } = await withTimeout(this.#send(report), REPORT_TIMEOUT_MS);
      this.#failures = 0;
      this.#mayBeListed = hasSessions;
      this.#known = new Set(report.sessions.map(({ id }) => id).filter((id) => !missing.includes(id)));
      this.#hasChanged ||= missing.length > 0;
      this.#dueAt = now() + nextInMs;
    } catch (error) {
      this.#failures++;
      this.#dueAt = now() + jitteredBackoffMs(this.#failures, RETRY_BACKOFF, random());
      if (this.#failures % LOG_EVERY_FAILURES === 1) {
        logEvent("warn", "directory_not_told", { attempt: this.#failures, error: describeError(error) });
      }
    } finally {
      this.#isReporting = false;
    }
    // The last session may have ended meanwhile, and with it the ticks.
    if (this.#hasChanged && !hasAny(this.#dependencies.sessions())) this.tick();
  }

  #makeReport(): Report {
    const { objectId, sessions, now } = this.#dependencies;
    const all = [...sessions()];
    const reported = all.slice(0, MAX_REPORTED_SESSIONS);
    this.#lastAt = Math.max(now(), this.#lastAt + 1);
    return {
      objectId,
      at: this.#lastAt,
      sessions: reported.map((session) => ({
        id: session.id,
        counts: liveCounts(session),
        ...(!this.#known.has(session.id) && { row: directoryRow(session) }),
      })),
      omitted: all.length - reported.length,
    };
  }

  async #send(report: Report): Promise<ReportAnswer> {
    this.#unanswered++;
    try {
      return await this.#dependencies.send(report);
    } finally {
      this.#unanswered--;
    }
  }
}

function hasAny(iterable: Iterable<unknown>): boolean {
  for (const _ of iterable) return true;
  return false;
}
