import type { UserLock } from "../../audit/events.ts";
import type { CopiedState } from "../../contract/person-state.ts";
import type { AccessReason } from "../session/admission.ts";
import { AccessRequests } from "./access-requests.ts";

/**
 * What was decided about the user, in the object's SQLite: the lock, the stated reason, the requests for
 * access, and the version of all this.
 */
export class UserLocks {
  readonly access: AccessRequests;
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.access = new AccessRequests(sql);
  }

  setLock({ user, by, reason, until }: UserLock): void {
    this.#sql.exec(
      "INSERT OR REPLACE INTO user_lock (id, user, locked_by, reason, until) VALUES (1, ?, ?, ?, ?)",
      user,
      by,
      reason,
      until,
    );
  }

  removeLock(): void {
    this.#sql.exec("DELETE FROM user_lock");
  }

  /** The last lock, whether it still holds or not; see `currentLock`. */
  get lock(): UserLock | undefined {
    return this.#sql
      .exec<UserLock & Record<string, SqlStorageValue>>('SELECT user, locked_by AS "by", reason, until FROM user_lock')
      .toArray()[0];
  }

  setReason({ reason, until }: AccessReason): void {
    this.#sql.exec("INSERT OR REPLACE INTO access_reason (id, reason, until) VALUES (1, ?, ?)", reason, until);
  }

  /** The last stated reason, whether it still counts or not; see `currentReason`. */
  get reason(): AccessReason | undefined {
    return this.#sql
      .exec<AccessReason & Record<string, SqlStorageValue>>("SELECT reason, until FROM access_reason")
      .toArray()[0];
  }

  /** The version of all this; 0 before the first decision. */
  get version(): number {
    return this.#sql.exec<{ version: number }>("SELECT version FROM state_version").toArray()[0]?.version ?? 0;
  }

  /**
   * Counts a decision that was made here.
   *
   * The clock is part of the version, so that it also grows where the database was restored from a backup:
   * otherwise the copies, which know later versions, would ignore what is decided then.
   *
   * @param now ms since the epoch
   */
  advanceVersion(now: number): void {
    this.#setVersion(Math.max(this.version + 1, now));
  }

  /** All of it, to be copied to the user's other objects. */
  get state(): CopiedState {
    const { version, lock, reason, access } = this;
    return { version, lock: lock ?? null, accessReason: reason ?? null, access: access.all };
  }

  /**
   * Takes the place of all of it, unless it is not newer.
   *
   * @returns whether it was newer
   */
  takeCopy({ version, lock, accessReason, access }: CopiedState): boolean {
    if (version <= this.version) return false;
    if (lock) this.setLock(lock);
    else this.removeLock();
    if (accessReason) this.setReason(accessReason);
    else this.#sql.exec("DELETE FROM access_reason");
    this.#setVersion(version);
    this.access.replaceAll(access);
    return true;
  }

  #setVersion(version: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO state_version (id, version) VALUES (1, ?)", version);
  }
}
