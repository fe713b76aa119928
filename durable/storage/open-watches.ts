/** A watch that has begun and not ended. */
export interface OpenWatch {
  /** The id of its `watch` event. */
  readonly id: string;
  readonly session: string;
  /** The user whose session is watched. */
  readonly user: string;
  readonly by: string;
  /** ms since the epoch */
  readonly since: number;
}

interface Row extends Record<string, SqlStorageValue> {
  readonly watch_id: string;
  readonly session_id: string;
  readonly user: string;
  readonly watcher: string;
  readonly began_at: number;
}

/** Who watches a session of this object: an object that starts again writes the ends of these watches. */
export class OpenWatches {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  add({ id, session, user, by, since }: OpenWatch): void {
    this.#sql.exec(
      "INSERT INTO open_watches (watch_id, session_id, user, watcher, began_at) VALUES (?, ?, ?, ?, ?)",
      ...[id, session, user, by, since],
    );
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM open_watches WHERE watch_id = ?", id);
  }

  get all(): OpenWatch[] {
    return this.#sql
      .exec<Row>("SELECT watch_id, session_id, user, watcher, began_at FROM open_watches ORDER BY began_at")
      .toArray()
      .map((row) => ({
        ...{ id: row.watch_id, session: row.session_id, user: row.user },
        ...{ by: row.watcher, since: row.began_at },
      }));
  }
}
