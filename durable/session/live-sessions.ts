import type { AccessRequest } from "../../contract/access.ts";
import { type GivenAccess, whyNoLongerGiven } from "../../contract/given-access.ts";
import { revocationMessage } from "../access/access-rules.ts";
import type { AuditLog } from "../audit-log.ts";
import { CLOSE_GRACE_MS } from "../intervals.ts";
import { endLabel } from "../recording/cast-lines.ts";
import type { Recordings } from "../recording/recordings.ts";
import type { Relay } from "../relay/relay.ts";
import type { Closure } from "./close-cause.ts";
import type { LiveSession } from "./live-session.ts";
import { endEvent, type SessionOutcome } from "./outcome.ts";

/** By then the close frames have left that were on their way. */
const WRITE_END_AFTER_MS = 20;

/**
 * The user's open sessions.
 *
 * They are in memory only, so that after a crash nothing counts against the user's limit any more.
 */
export class LiveSessions {
  readonly #audit: AuditLog;
  readonly #recordings: Recordings;
  readonly #onCount: (count: number) => void;
  readonly #sessions = new Map<string, LiveSession>();
  /** Ended sessions of which a side has not taken everything: it stays in memory until it does or leaves. */
  readonly #draining = new Set<Relay>();
  #unwrittenEnds = 0;

  /** @param onCount called whenever a session was added or removed */
  constructor(audit: AuditLog, recordings: Recordings, onCount: (count: number) => void) {
    this.#audit = audit;
    this.#recordings = recordings;
    this.#onCount = onCount;
  }

  /** Whether a session is open, or its end not written yet: after a crash the object must be woken. */
  get isUnfinished(): boolean {
    return this.count > 0 || this.#unwrittenEnds > 0;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Those that take a place: not those that wait before they begin. */
  get running(): number {
    return this.count - this.waiting;
  }

  /** Whether any of them was opened with a grant, or waits for one. */
  get haveGrants(): boolean {
    return [...this.all].some(({ openedWith }) => openedWith.grants.length > 0);
  }

  /** Those that wait before they begin: for an approval, or for somebody who watches. */
  get waiting(): number {
    return [...this.all].filter(({ wait }) => wait).length;
  }

  /** Tells those that wait for this request that it has changed. @param now ms since the epoch */
  accessChanged(accessId: string, now: number): void {
    for (const { wait } of [...this.all]) if (wait?.accessId === accessId) wait.check(now);
  }

  /** What one of them waits for has changed. */
  waitChanged(): void {
    this.#onCount(this.#sessions.size);
  }

  get all(): Iterable<LiveSession> {
    return this.#sessions.values();
  }

  get(sessionId: string): LiveSession | undefined {
    return this.#sessions.get(sessionId);
  }

  add(session: LiveSession): void {
    this.#sessions.set(session.id, session);
    this.#onCount(this.#sessions.size);
  }

  /** Bytes of ended sessions that are still in memory. */
  get unreadBytes(): number {
    let bytes = 0;
    for (const relay of this.#draining) {
      const { waitingBytes } = relay;
      if (waitingBytes === 0) this.#draining.delete(relay);
      bytes += waitingBytes;
    }
    return bytes;
  }

  /** An administrator ends a session. @returns whether it was open */
  terminate(sessionId: string, by: string, reason: string): boolean {
    return this.#sessions.get(sessionId)?.close({ kind: "administrator", by, reason }) ?? false;
  }

  /** @returns the ids of the ended sessions */
  terminateAll(by: string, reason: string): string[] {
    return [...this.#sessions.keys()].filter((sessionId) => this.terminate(sessionId, by, reason));
  }

  /**
   * Ends what was opened with access that was taken back since.
   *
   * @param requests of which only those count that were: a copy may be older than what a session was opened
   *   with
   * @returns the ids of the ended sessions
   */
  endWithAccess(requests: readonly AccessRequest[]): string[] {
    const ended: string[] = [];
    for (const request of requests) {
      if (!request.ended) continue;
      const limit = { outcome: "access_ended", message: revocationMessage(request) } as const;
      const opened = [...this.#sessions.values()].filter(({ grants }) => grants.some(({ id }) => id === request.id));
      for (const session of opened) if (session.close({ kind: "limit", limit })) ended.push(session.id);
    }
    return ended;
  }

  /** Ends what was opened with something that a grant has ceased to give. */
  endNotGiven(given: GivenAccess): void {
    for (const session of [...this.#sessions.values()]) {
      const why = whyNoLongerGiven(given, session.openedWith);
      if (why === undefined) continue;
      session.close({ kind: "limit", limit: { outcome: "access_ended", message: `session ended: ${why}` } });
    }
  }

  /**
   * Releases a closed session's place, and writes its end to the audit log and its recording: in a moment
   * where that changes nothing but when, see `endsAsSaved`. kubectl then need not wait for it.
   */
  release(session: LiveSession, { outcome }: Closure): void {
    if (!this.#sessions.delete(session.id)) return;
    setTimeout(() => session.abort(), CLOSE_GRACE_MS);
    if (session.relay && session.relay.waitingBytes > 0) this.#draining.add(session.relay);
    this.#onCount(this.#sessions.size);
    if (session.endsAsSaved) this.#writeEndSoon(session, outcome);
    else this.#writeEnd(session, outcome);
  }

  #writeEndSoon(session: LiveSession, outcome: SessionOutcome): void {
    this.#unwrittenEnds++;
    setTimeout(() => {
      this.#writeEnd(session, outcome);
      this.#unwrittenEnds--;
    }, WRITE_END_AFTER_MS);
  }

  #writeEnd(session: LiveSession, outcome: SessionOutcome): void {
    const label = endLabel(outcome.outcome, outcome.exitCode, outcome.reason);
    const recording = this.#recordings.end(session.id, label, Date.now());
    this.#audit.append(session.id, endEvent(outcome, session.counts, session.traffic, recording));
    session.feed?.end(label);
  }
}
