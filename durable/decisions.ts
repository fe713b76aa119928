import type { UserLock } from "../audit/events.ts";
import { type CopiedState, currentLock, type PersonState } from "../contract/person-state.ts";
import type { LocationHint } from "../contract/placement.ts";
import type { UserObjectValue } from "../contract/user-object.ts";
import { activeGrants } from "./access/access-rules.ts";
import type { Alarm } from "./alarm.ts";
import type { AuditLog } from "./audit-log.ts";
import { HEARTBEAT_MS } from "./intervals.ts";
import type { AccessReason } from "./session/admission.ts";
import type { LiveSessions } from "./session/live-sessions.ts";
import type { CopiedEverywhere, StateCopies } from "./state-copies.ts";
import type { UserLocks } from "./storage/user-locks.ts";

/** What a decision works on. */
interface DecisionDependencies {
  readonly locks: UserLocks;
  readonly copies: StateCopies;
  readonly alarm: Alarm;
  readonly audit: Pick<AuditLog, "appendUserEvent">;
  readonly sessions: Pick<LiveSessions, "terminateAll" | "endWithAccess">;
}

/**
 * What is decided about the user as a person, at every cluster. One of the user's objects decides: the one
 * without a location hint. It is in that object's part of the audit log, and all others get a copy.
 */
export class Decisions {
  readonly #locks: UserLocks;
  readonly #copies: StateCopies;
  readonly #alarm: Alarm;
  readonly #audit: DecisionDependencies["audit"];
  readonly #sessions: DecisionDependencies["sessions"];

  constructor({ locks, copies, alarm, audit, sessions }: DecisionDependencies) {
    this.#locks = locks;
    this.#copies = copies;
    this.#alarm = alarm;
    this.#audit = audit;
    this.#sessions = sessions;
  }

  /** What holds for the user, as this object knows it. */
  get state(): PersonState {
    const { version, lock, access } = this.#locks;
    return { version, lock: lock ?? null, grants: activeGrants(access.all, Date.now()) };
  }

  currentLock(): UserLock | null {
    return currentLock(this.#locks.lock, Date.now()) ?? null;
  }

  describeLock(): UserObjectValue<"describeLock"> {
    return { lock: this.currentLock(), notReached: this.#copies.notReached };
  }

  async lock(lock: UserLock, copyTo: readonly LocationHint[]): Promise<UserObjectValue<"decideLock">> {
    const endedHere = this.lockHere(lock, true);
    const { ended, notReached } = await this.copy(lock.user, copyTo);
    return { ended: [...endedHere, ...ended], notReached };
  }

  async unlock(
    { user, by, reason }: Pick<UserLock, "user" | "by" | "reason">,
    copyTo: readonly LocationHint[],
  ): Promise<UserObjectValue<"decideUnlock">> {
    const wasLockedHere = this.currentLock() !== null;
    this.#locks.removeLock();
    this.#locks.advanceVersion(Date.now());
    if (wasLockedHere) this.#audit.appendUserEvent({ type: "unlock", data: { user, by, reason } });
    // Also where there is no lock here: an edge that could not reach this object may have locked the others.
    const { wasLocked, notReached } = await this.copy(user, copyTo);
    return { wasLocked: wasLockedHere || wasLocked, notReached };
  }

  async stateReason(
    user: string,
    stated: AccessReason,
    copyTo: readonly LocationHint[],
  ): Promise<UserObjectValue<"decideReason">> {
    this.#locks.setReason(stated);
    this.#locks.advanceVersion(Date.now());
    const { notReached } = await this.copy(user, copyTo);
    return { notReached };
  }

  /** Takes a copy from the object that decides. */
  takeCopy(state: CopiedState): UserObjectValue<"copyState"> {
    const wasLocked = this.currentLock() !== null;
    if (!this.#locks.takeCopy(state)) return { ended: [], wasLocked };
    const lock = this.currentLock();
    const ended = lock ? this.#sessions.terminateAll(lock.by, lock.reason) : [];
    return { ended: [...ended, ...this.#sessions.endWithAccess(state.access)], wasLocked };
  }

  /**
   * Locks the user in this object alone.
   *
   * @param decides whether this object decides about the user
   * @returns the ids of the ended sessions
   */
  lockHere(lock: UserLock, decides: boolean): string[] {
    this.#locks.setLock(lock);
    if (decides) {
      this.#locks.advanceVersion(Date.now());
      this.#audit.appendUserEvent({ type: "lock", data: lock });
    }
    return this.#sessions.terminateAll(lock.by, lock.reason);
  }

  /**
   * Lifts the lock in this object alone.
   *
   * @returns whether there was one
   */
  unlockHere({ user, by, reason }: Pick<UserLock, "user" | "by" | "reason">, decides: boolean): boolean {
    if (!this.currentLock()) return false;
    this.#locks.removeLock();
    if (decides) {
      this.#locks.advanceVersion(Date.now());
      this.#audit.appendUserEvent({ type: "unlock", data: { user, by, reason } });
    }
    return true;
  }

  /** Sends the copies that some objects still lack. */
  async retryCopies(): Promise<void> {
    if (!this.#copies.isPending) return;
    await this.#copies.retry();
    this.#retrySoon();
  }

  /** Copies what holds to the user's other objects, and waits for each for a moment. */
  async copy(user: string, copyTo: readonly LocationHint[]): Promise<CopiedEverywhere> {
    // If this object crashes in between, the alarm sends what is left.
    if (copyTo.length > 0) this.#alarm.ringWithin(HEARTBEAT_MS);
    const copied = await this.#copies.send(user, copyTo);
    this.#retrySoon();
    return copied;
  }

  #retrySoon(): void {
    if (this.#copies.isPending) this.#alarm.ringWithin(this.#copies.retryInMs);
  }
}
