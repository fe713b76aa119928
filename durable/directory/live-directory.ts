import { isAfter, matchesFilter, newestFirst } from "../../audit/session-filter.ts";
import type { LiveCounts, LivePage, LiveQuery, Report, ReportAnswer } from "../../contract/directory.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";
import { REPORT_MS } from "../intervals.ts";

/** How rarely objects report at most, however many there are. */
const MAX_REPORT_INTERVAL_MS = 60_000;
/**
 * Beyond it, objects are told to report less often. The platform's own limit is about 1,000 calls a second.
 */
export const MAX_REPORTS_PER_SECOND = 200;
/**
 * How long an object that says nothing counts as live. A crashed one is woken by its alarm within 30 s, and
 * reports that its sessions are over.
 */
const MIN_LEASE_MS = 60_000;
const LEASE_INTERVALS = 3;

/** What the directory keeps at most. Objects of Cloudflare have 128 MB. */
export interface DirectoryBounds {
  readonly objects: number;
  readonly sessions: number;
  /** Characters of the sessions' rows as JSON. */
  readonly characters: number;
}

const DIRECTORY_BOUNDS: DirectoryBounds = { objects: 50_000, sessions: 30_000, characters: 24 * 1024 * 1024 };

interface KnownSession {
  readonly row: LiveSessionRow;
  readonly characters: number;
  readonly counts: LiveCounts;
}

interface KnownObject {
  /** Of its last report. */
  readonly at: number;
  readonly expiresAt: number;
  readonly sessions: ReadonlyMap<string, KnownSession>;
  /** Live sessions that are not among them. */
  readonly unlisted: number;
}

/**
 * What is live in the whole deployment, as users' objects report it.
 *
 * In memory alone: after a restart it is whole again once every object has reported, which takes one interval
 * of reports. Rows in SQLite would cost a write for each report, and be as old as the last one anyway.
 *
 * Pure: the time is an argument, in ms since the epoch.
 */
export class LiveDirectory {
  /** Those with the oldest report first. Ended ones stay until their lease is over, to know late reports. */
  readonly #objects = new Map<string, KnownObject>();
  readonly #bounds: DirectoryBounds;
  /** Before it some objects may not have reported yet. */
  #wholeFrom: number;
  #sessions = 0;
  #characters = 0;
  #unlisted = 0;

  constructor(now: number, bounds: DirectoryBounds = DIRECTORY_BOUNDS) {
    this.#wholeFrom = now + MAX_REPORT_INTERVAL_MS;
    this.#bounds = bounds;
  }

  /** Takes a report in place of everything that the object has reported before. */
  report({ objectId, at, sessions, omitted }: Report, now: number): ReportAnswer {
    this.#removeExpired(now);
    const before = this.#objects.get(objectId);
    const nextInMs = this.#intervalMs;
    if (before && at <= before.at) return { missing: [], nextInMs };
    if (!before && this.#objects.size >= this.#bounds.objects) {
      this.#wholeFrom = now + MAX_REPORT_INTERVAL_MS;
      return { missing: [], nextInMs };
    }
    if (before) this.#remove(objectId, before);
    const missing: string[] = [];
    const known = new Map<string, KnownSession>();
    for (const { id, counts, row: reported } of sessions) {
      const earlier = before?.sessions.get(id);
      const row = earlier?.row ?? reported;
      if (this.#isFull) continue;
      if (!row) {
        missing.push(id);
        continue;
      }
      const characters = earlier?.characters ?? JSON.stringify(row).length;
      known.set(id, { row, characters, counts });
      this.#sessions++;
      this.#characters += characters;
    }
    const unlisted = sessions.length - known.size + omitted;
    this.#unlisted += unlisted;
    const leaseMs = Math.max(MIN_LEASE_MS, LEASE_INTERVALS * nextInMs);
    this.#objects.set(objectId, { at, expiresAt: now + leaseMs, sessions: known, unlisted });
    return { missing, nextInMs };
  }

  /** One page of what is live, newest first. */
  list({ filter, limit, after }: LiveQuery, now: number): LivePage {
    this.#removeExpired(now);
    const found: KnownSession[] = [];
    for (const { sessions, expiresAt } of this.#objects.values()) {
      if (expiresAt <= now) continue;
      for (const session of sessions.values()) {
        if (matchesFilter(session.row, filter) && isAfter(session.row, after)) found.push(session);
      }
    }
    const page = found.sort((one, other) => newestFirst(one.row, other.row)).slice(0, limit);
    return {
      sessions: page.map(({ row, counts }) => ({ ...row, ...counts })),
      isComplete: now >= this.#wholeFrom && this.#unlisted === 0,
    };
  }

  /** What it holds, by the bounds that each has. */
  get load(): DirectoryBounds {
    return { objects: this.#objects.size, sessions: this.#sessions, characters: this.#characters };
  }

  get #isFull(): boolean {
    return this.#sessions >= this.#bounds.sessions || this.#characters >= this.#bounds.characters;
  }

  get #intervalMs(): number {
    const needed = Math.ceil((this.#objects.size * 1_000) / MAX_REPORTS_PER_SECOND);
    return Math.min(Math.max(needed, REPORT_MS), MAX_REPORT_INTERVAL_MS);
  }

  /** Leases have different lengths: one that ends behind a longer one stays a little, unlisted. */
  #removeExpired(now: number): void {
    for (const [objectId, object] of this.#objects) {
      if (object.expiresAt > now) return;
      this.#remove(objectId, object);
    }
  }

  #remove(objectId: string, { sessions, unlisted }: KnownObject): void {
    this.#objects.delete(objectId);
    this.#sessions -= sessions.size;
    this.#unlisted -= unlisted;
    for (const { characters } of sessions.values()) this.#characters -= characters;
  }
}
