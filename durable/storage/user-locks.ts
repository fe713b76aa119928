import type { UserLock } from "../../audit/events.ts";
import type { AccessReason } from "../session/admission.ts";

/** The administrator's lock and the stated reason of the user, in the object's SQLite. */
export class UserLocks {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
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
}
