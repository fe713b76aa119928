import type { Notification } from "../notifications/message.ts";

/** A notification in the queue. */
export interface WaitingNotification extends Notification, Record<string, SqlStorageValue> {
  readonly row_number: number;
}

/** How a destination has been doing. */
export interface DestinationState {
  /** Attempts that have failed in a row. */
  readonly failures: number;
  /** No attempt before it, ms since the epoch. */
  readonly retry_at: number;
  /** How many notifications it will never get. */
  readonly dropped: number;
  /** The hash of the address that answered 410, or null. */
  readonly gone: string | null;
}

const FRESH: DestinationState = { failures: 0, retry_at: 0, dropped: 0, gone: null };

/** What waits for each destination, in order, and how they have been doing, in the object's SQLite. */
export class WaitingNotifications {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add(destination: string, { id, at, type, data }: Notification): void {
    this.#sql.exec(
      "INSERT INTO notifications (destination, event_id, at, type, data) VALUES (?, ?, ?, ?, ?)",
      ...[destination, id, at, type, data],
    );
  }

  oldest(destination: string): WaitingNotification | undefined {
    return this.#sql
      .exec<WaitingNotification>(
        `SELECT row_number, event_id AS id, at, type, data FROM notifications WHERE destination = ?
         ORDER BY row_number LIMIT 1`,
        destination,
      )
      .toArray()[0];
  }

  remove(rowNumber: number): void {
    this.#sql.exec("DELETE FROM notifications WHERE row_number = ?", rowNumber);
  }

  /** @returns how often the receiver has said of this one that it is at fault, this time included */
  addRefusal(rowNumber: number): number {
    const [row] = this.#sql
      .exec<{ refusals: number }>(
        "UPDATE notifications SET refusals = refusals + 1 WHERE row_number = ? RETURNING refusals",
        rowNumber,
      )
      .toArray();
    return row?.refusals ?? 0;
  }

  /** Removes all that is known of a destination. @returns how many waited */
  forget(destination: string): number {
    this.#sql.exec("DELETE FROM notification_destinations WHERE destination = ?", destination);
    return this.removeOldest(destination, 0);
  }

  /** @returns how many were removed: all of a destination but the `keep` newest */
  removeOldest(destination: string, keep: number): number {
    return this.#sql
      .exec(
        `DELETE FROM notifications WHERE row_number IN
         (SELECT row_number FROM notifications WHERE destination = ? ORDER BY row_number DESC LIMIT -1 OFFSET ?)
       RETURNING 1`,
        destination,
        keep,
      )
      .toArray().length;
  }

  /** @returns how many were removed: those from before `at`, ms since the epoch */
  removeBefore(destination: string, at: number): number {
    return this.#sql
      .exec("DELETE FROM notifications WHERE destination = ? AND at < ? RETURNING 1", destination, at)
      .toArray().length;
  }

  /** Names of the destinations for which something waits. */
  get destinations(): string[] {
    return this.#sql
      .exec<{ destination: string }>("SELECT DISTINCT destination FROM notifications")
      .toArray()
      .map(({ destination }) => destination);
  }

  /** How many wait for a destination. */
  count(destination: string): number {
    return this.#sql
      .exec<{ count: number }>("SELECT count(*) AS count FROM notifications WHERE destination = ?", destination)
      .one().count;
  }

  stateOf(destination: string): DestinationState {
    const [row] = this.#sql
      .exec<DestinationState & Record<string, SqlStorageValue>>(
        "SELECT failures, retry_at, dropped, gone FROM notification_destinations WHERE destination = ?",
        destination,
      )
      .toArray();
    return row ?? FRESH;
  }

  setState(destination: string, state: DestinationState): void {
    const { failures, retry_at, dropped, gone } = state;
    this.#sql.exec(
      `INSERT OR REPLACE INTO notification_destinations (destination, failures, retry_at, dropped, gone)
       VALUES (?, ?, ?, ?, ?)`,
      ...[destination, failures, retry_at, dropped, gone],
    );
  }
}
