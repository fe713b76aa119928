import type { AccessRequest } from "../../contract/access.ts";

/**
 * The user's requests for access, in the object's SQLite: those that wait, that hold, and that ended lately.
 * In the object that decides they are the original, in the others a copy.
 *
 * In memory too, because every API request of the user asks for the grants that hold.
 */
export class AccessRequests {
  readonly #sql: SqlStorage;
  #all: readonly AccessRequest[] | undefined;
  readonly #listeners = new Set<(request: AccessRequest) => void>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** All of them, in no order. */
  get all(): readonly AccessRequest[] {
    this.#all ??= this.#sql
      .exec<{ request: string }>("SELECT request FROM access_requests")
      .toArray()
      .map(({ request }) => JSON.parse(request) as AccessRequest);
    return this.#all;
  }

  find(id: string): AccessRequest | undefined {
    return this.all.find((request) => request.id === id);
  }

  /**
   * Makes these all that there are. Whoever listens hears of each that is new, or no longer as it was, once
   * it is written.
   */
  replaceAll(requests: readonly AccessRequest[]): void {
    const before = new Map(this.all.map((request) => [request.id, JSON.stringify(request)]));
    const changed = requests.filter((request) => before.get(request.id) !== JSON.stringify(request));
    const kept = new Set(requests.map(({ id }) => id));
    for (const id of before.keys()) {
      if (!kept.has(id)) this.#sql.exec("DELETE FROM access_requests WHERE access_id = ?", id);
    }
    for (const request of changed) {
      this.#sql.exec(
        "INSERT OR REPLACE INTO access_requests (access_id, request) VALUES (?, ?)",
        request.id,
        JSON.stringify(request),
      );
    }
    this.#all = requests;
    for (const request of changed) for (const listener of [...this.#listeners]) listener(request);
  }

  /**
   * Calls `listener` whenever a request is new or has changed here: by a decision of this object, or by a
   * copy of one. What ends by time does not change. Requests that have left are not told.
   *
   * @param listener must not throw
   * @returns stops it
   */
  onChange(listener: (request: AccessRequest) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
