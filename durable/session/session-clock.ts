import { CHECKPOINT_MS, TICK_MS } from "../intervals.ts";
import type { SessionJournal } from "../storage/session-journal.ts";
import { findOverfullSession, findReachedLimit, overfullLimit, stalledLimit } from "./limits.ts";
import type { LiveSession } from "./live-session.ts";
import type { LiveSessions } from "./live-sessions.ts";

/** Sessions that move more than this within a tick keep the object's thread busy. */
const BUSY_BYTES = 4 * 1024 * 1024;

/** Runs while sessions are open: ends those that have reached a limit, and saves the counts of the others. */
export class SessionClock {
  readonly #sessions: LiveSessions;
  readonly #journal: SessionJournal;
  readonly #onTick: () => void;
  #timer: ReturnType<typeof setInterval> | null = null;
  #isBusy = false;

  /** @param onTick something that has to happen every second or so, after the memory was checked */
  constructor(sessions: LiveSessions, journal: SessionJournal, onTick: () => void) {
    this.#sessions = sessions;
    this.#journal = journal;
    this.#onTick = onTick;
  }

  /** The object is relaying a burst: whatever can wait should. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#tick(Date.now()), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#isBusy = false;
  }

  #tick(now: number): void {
    let movedBytes = 0;
    for (const session of this.#sessions.all) movedBytes += session.takeMovedBytes();
    this.#isBusy = movedBytes > BUSY_BYTES;
    this.#checkMemory();
    this.#onTick();
    for (const session of this.#sessions.all) this.#checkSession(session, now);
  }

  /** To ask for the unread bytes also forgets relays that are drained, when nothing opens for hours. */
  #checkMemory(): void {
    const fullest = findOverfullSession(this.#sessions.all, this.#sessions.unreadBytes);
    if (fullest?.relay) fullest.close({ kind: "limit", limit: overfullLimit(fullest.relay.waitsFor) });
  }

  #checkSession(session: LiveSession, now: number): void {
    const { limits } = session.plan;
    session.relay?.tick(now);
    session.wait?.check(now);
    session.moderation?.check(now);
    session.feed?.tick();
    const stalledReader = session.relay?.stalledReader(limits.stallTimeoutSeconds * 1000);
    const limit = stalledReader ? stalledLimit(stalledReader) : findReachedLimit(session, limits, now);
    if (limit) {
      session.close({ kind: "limit", limit });
    } else if (now - session.checkpointAt >= CHECKPOINT_MS) {
      session.checkpointAt = now;
      this.#journal.checkpoint(session.id, now, session.counts);
    }
  }
}
