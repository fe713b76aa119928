import type { UserLock } from "../audit/events.ts";

export interface StatedReason {
  readonly reason: string;
  /** Until when it counts, ms since the epoch. */
  readonly until: number;
}

/** How a user stands with us between sessions, in the object's SQLite: locked or not, and what the next sessions are for. */
export class UserLocks {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    sql.exec("CREATE TABLE IF NOT EXISTS standing (what TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
  }

  lock(lock: UserLock): void {
    this.#set("lock", lock);
  }

  unlock(): void {
    this.#sql.exec("DELETE FROM standing WHERE what = 'lock'");
  }

  /** The lock that holds at `now`, if any. */
  lockAt(now: number): UserLock | undefined {
    const lock = this.#get<UserLock>("lock");
    return lock && (lock.until === null || now < lock.until) ? lock : undefined;
  }

  stateReason(stated: StatedReason): void {
    this.#set("reason", stated);
  }

  /** What the user said and what still counts at `now`. */
  reasonAt(now: number): string | undefined {
    const stated = this.#get<StatedReason>("reason");
    return stated && now < stated.until ? stated.reason : undefined;
  }

  #set(what: "lock" | "reason", value: object): void {
    this.#sql.exec("INSERT OR REPLACE INTO standing (what, value) VALUES (?, ?)", what, JSON.stringify(value));
  }

  #get<T>(what: "lock" | "reason"): T | undefined {
    const [row] = this.#sql.exec<{ value: string }>("SELECT value FROM standing WHERE what = ?", what).toArray();
    return row && (JSON.parse(row.value) as T);
  }
}

/** The words for a user who is locked. */
export function lockedMessage({ user, by, reason, until }: UserLock): string {
  const when = until === null ? "" : ` until ${new Date(until).toISOString()}`;
  return `sessions of ${user} are locked${when} by ${by}: ${reason}`;
}

/** The words for a user who has to say why first. */
export const REASON_REQUIRED_MESSAGE =
  'this session needs a reason: say it with  echo "why" | kubectl create --raw /-/reason -f -  and try again within 15 minutes';
