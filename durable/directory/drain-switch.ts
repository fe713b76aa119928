import { currentDrain, type Drain } from "../../contract/drain.ts";
import type { AuditLog } from "../audit-log.ts";

/**
 * The drain switch in the directory's SQLite: a restart or a deploy leaves it as it was. Each turn of it is
 * in the audit log, written together with it.
 */
export class DrainSwitch {
  readonly #sql: SqlStorage;
  readonly #audit: Pick<AuditLog, "appendUserEvent">;

  constructor(sql: SqlStorage, audit: Pick<AuditLog, "appendUserEvent">) {
    this.#sql = sql;
    this.#audit = audit;
  }

  /** @param now ms since the epoch */
  read(now: number): Drain | null {
    const [drain] = this.#sql
      .exec<Drain & Record<string, SqlStorageValue>>('SELECT drained_by AS "by", reason, since, until FROM drain')
      .toArray();
    return currentDrain(drain, now) ?? null;
  }

  /**
   * Switches it on, or changes its reason and end.
   *
   * @param now ms since the epoch
   */
  begin({ by, reason, until }: Omit<Drain, "since">, now: number): Drain {
    const since = this.read(now)?.since ?? now;
    this.#sql.exec(
      "INSERT OR REPLACE INTO drain (id, drained_by, reason, since, until) VALUES (1, ?, ?, ?, ?)",
      by,
      reason,
      since,
      until,
    );
    this.#audit.appendUserEvent({ type: "drain", data: { by, reason, until } });
    return { by, reason, since, until };
  }

  /**
   * Switches it off.
   *
   * @param now ms since the epoch
   * @returns whether it was on
   */
  end({ by, reason }: Pick<Drain, "by" | "reason">, now: number): boolean {
    if (!this.read(now)) return false;
    this.#sql.exec("DELETE FROM drain");
    this.#audit.appendUserEvent({ type: "drain_end", data: { by, reason } });
    return true;
  }
}
