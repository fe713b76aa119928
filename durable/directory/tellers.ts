/**
 * What a reader of one of the directory's streams is told: what they lack of what there is. Each keeps what
 * its reader knows. Pure.
 */
import { type LiveCounts, type LivePage, liveCountsSchema } from "../../contract/directory.ts";
import type { LiveRecord } from "../../contract/live-stream.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";

/** The most sessions that a stream tells of: the newest. */
export const MAX_STREAMED_SESSIONS = 2_000;
/** The most sessions, requests or ids in one record. */
const MAX_RECORD_ITEMS = 50;
/** A record of requests ends with the one that reaches this: their texts differ much in length. */
const MAX_RECORD_CHARS = 32 * 1024;
/** How long what is live is taken for what it was, unless somebody says that it has changed, ms. */
const LOOKED_UP_MAX_AGE_MS = 1_000;

/** Tells one reader. */
export interface Teller {
  /**
   * What the reader lacks. A record counts as told once the next is asked for, so whoever does not send one
   * asks no further, and is given it again.
   *
   * @param now ms since the epoch
   */
  lacks(now: number): Generator<LiveRecord>;
}

/** What all tellers of a kind tell of. */
export interface Told {
  teller(): Teller;
  /** To be called after a report. */
  changed(): void;
  /** Nobody is told any more. */
  forget(): void;
}

/** What sessions are known by. */
export interface KnownSessions {
  /** The newest that are live. @param now ms since the epoch */
  readonly list: (limit: number, now: number) => LivePage;
  /** How many there are. */
  readonly count: () => number;
}

interface SessionsSeen {
  readonly at: number;
  readonly page: LivePage;
  readonly omitted: number;
}

/** Live sessions. */
export class ToldSessions implements Told {
  readonly #known: KnownSessions;
  /** Of all tellers. */
  #seen: SessionsSeen | undefined;

  constructor(known: KnownSessions) {
    this.#known = known;
  }

  changed(): void {
    this.forget();
  }

  forget(): void {
    this.#seen = undefined;
  }

  teller(): Teller {
    const look = (now: number) => this.#look(now);
    /** Session → its counts as they were told. */
    const told = new Map<string, string>();
    /** What the last summary said; undefined before the first. */
    let summary: string | undefined;
    return {
      *lacks(now) {
        const { page, omitted } = look(now);
        const { sessions, isComplete } = page;
        if (summary !== `${isComplete} ${omitted}`) {
          yield { type: "summary", isComplete, omitted };
          summary = `${isComplete} ${omitted}`;
        }
        // What is over first, so that no reader's list is too long.
        for (const ids of parts(missing(told, sessions))) {
          yield { type: "ended", ids };
          for (const id of ids) told.delete(id);
        }
        for (const some of parts(sessions.filter(({ id }) => !told.has(id)))) {
          yield { type: "sessions", sessions: some };
          for (const row of some) told.set(row.id, keyOf(row));
        }
        for (const some of parts(sessions.filter((row) => told.get(row.id) !== keyOf(row)))) {
          yield { type: "counts", sessions: some.map(countsOf) };
          for (const row of some) told.set(row.id, keyOf(row));
        }
      },
    };
  }

  #look(now: number): SessionsSeen {
    const seen = this.#seen;
    // Also after a clock was set back.
    if (seen && 0 <= now - seen.at && now - seen.at < LOOKED_UP_MAX_AGE_MS) return seen;
    const page = this.#known.list(MAX_STREAMED_SESSIONS, now);
    const omitted = Math.max(0, this.#known.count() - page.sessions.length);
    this.#seen = { at: now, page, omitted };
    return this.#seen;
  }
}

/** A request that waits or holds. */
export interface OpenRequest {
  readonly id: string;
  /** Until when it may be decided, or holds: whatever happens before is reported. ms since the epoch */
  readonly until: number;
  /** What its object last reported, as JSON: equal texts are the same state. */
  readonly text: string;
}

/** A request as it was looked up. While its state is the same, so is this. */
interface SeenRequest extends OpenRequest {
  /** Another for each state of each request. */
  readonly revision: number;
}

interface AccessSeen {
  /** The same while nothing has changed. */
  readonly open: readonly SeenRequest[];
  readonly from: number;
  /** When the first of them ends by time. */
  readonly until: number;
}

/**
 * Requests for access that wait or hold. The texts are here once, whoever was told of them: each teller keeps
 * a number for each.
 */
export class ToldAccess implements Told {
  readonly #list: (now: number) => readonly OpenRequest[];
  #seen: AccessSeen | undefined;
  #isStale = false;
  #revision = 0;

  /** @param list those that wait or hold. @param now ms since the epoch */
  constructor(list: (now: number) => readonly OpenRequest[]) {
    this.#list = list;
  }

  changed(): void {
    this.#isStale = true;
  }

  forget(): void {
    this.#seen = undefined;
  }

  teller(): Teller {
    const look = (now: number) => this.#look(now);
    /** Request → its revision as it was told. */
    const told = new Map<string, number>();
    /** What all of was told; undefined before the first record. */
    let toldAll: readonly SeenRequest[] | undefined;
    return {
      *lacks(now) {
        const { open } = look(now);
        if (open === toldAll) return;
        for (const ids of parts(missing(told, open))) {
          yield { type: "access_over", ids };
          for (const id of ids) told.delete(id);
        }
        const changed = open.filter(({ id, revision }) => told.get(id) !== revision);
        if (!toldAll && changed.length === 0) yield { type: "access", requests: [] };
        for (const some of partsBySize(changed)) {
          yield { type: "access", requests: some.map(({ text }) => JSON.parse(text)) };
          for (const { id, revision } of some) told.set(id, revision);
        }
        toldAll = open;
      },
    };
  }

  #look(now: number): AccessSeen {
    const seen = this.#seen;
    if (seen && !this.#isStale && seen.from <= now && now < seen.until) return seen;
    this.#isStale = false;
    const known = new Map(seen?.open.map((request) => [request.id, request]));
    const listed = this.#list(now).map((request) => {
      const before = known.get(request.id);
      if (before?.text === request.text) return before;
      return { ...request, id: before?.id ?? request.id, revision: ++this.#revision };
    });
    const isSame = seen?.open.length === listed.length && seen.open.every((request, at) => request === listed[at]);
    const open = isSame ? seen.open : listed;
    this.#seen = { open, from: now, until: Math.min(...open.map(({ until }) => until)) };
    return this.#seen;
  }
}

/** What was told and is no longer there. */
function missing(told: ReadonlyMap<string, unknown>, present: readonly { readonly id: string }[]): string[] {
  const ids = new Set(present.map(({ id }) => id));
  return [...told.keys()].filter((id) => !ids.has(id));
}

/** What changes while a session is open, whatever the contract counts among it. */
const COUNTS = Object.keys(liveCountsSchema.shape) as readonly (keyof LiveCounts)[];

function countsOf(row: LiveSessionRow): LiveCounts & { readonly id: string } {
  const counts = Object.fromEntries(COUNTS.map((name) => [name, row[name]]));
  return { id: row.id, ...(counts as LiveCounts) };
}

function keyOf(counts: LiveCounts): string {
  return COUNTS.map((name) => counts[name]).join(" ");
}

function* parts<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += MAX_RECORD_ITEMS) yield all.slice(from, from + MAX_RECORD_ITEMS);
}

function* partsBySize(requests: readonly SeenRequest[]): Generator<readonly SeenRequest[]> {
  let part: SeenRequest[] = [];
  let chars = 0;
  for (const request of requests) {
    part.push(request);
    chars += request.text.length;
    if (chars < MAX_RECORD_CHARS && part.length < MAX_RECORD_ITEMS) continue;
    yield part;
    part = [];
    chars = 0;
  }
  if (part.length > 0) yield part;
}
