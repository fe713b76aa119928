import { type AccessRequest, type DecidingPerson, kubernetesUsersOf } from "../../contract/access.ts";
import type { KnownUsers } from "../access/access-rules.ts";

/** What a row has. */
interface StoredRequest extends AccessRequest {
  /** Left out where nobody has another Kubernetes user than the one in the request. */
  readonly kubernetesUsers?: KnownUsers;
}

/**
 * The user's requests for access, in the object's SQLite: those that wait, that hold, and that ended lately.
 * In the object that decides they are the original, in the others a copy.
 *
 * In memory too, because every API request of the user asks for the grants that hold.
 */
export class AccessRequests {
  readonly #sql: SqlStorage;
  readonly #users = new Map<string, KnownUsers>();
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
      .map((row) => {
        const { kubernetesUsers, ...request }: StoredRequest = JSON.parse(row.request);
        if (kubernetesUsers) this.#users.set(request.id, kubernetesUsers);
        return request;
      });
    return this.#all;
  }

  find(id: string): AccessRequest | undefined {
    return this.all.find((request) => request.id === id);
  }

  /**
   * Makes these all that there are. Whoever listens hears of each that is new, or no longer as it was, once
   * it is written.
   *
   * @param made by whom one of them was asked for or approved just now
   */
  replaceAll(requests: readonly AccessRequest[], made?: { readonly id: string; readonly by: DecidingPerson }): void {
    const before = new Map(this.all.map((request) => [request.id, JSON.stringify(request)]));
    const changed = requests.filter((request) => before.get(request.id) !== JSON.stringify(request));
    if (made) this.#noteUsers(made.id, made.by);
    const kept = new Set(requests.map(({ id }) => id));
    for (const id of before.keys()) {
      if (kept.has(id)) continue;
      this.#users.delete(id);
      this.#sql.exec("DELETE FROM access_requests WHERE access_id = ?", id);
    }
    for (const request of changed) this.#write(request);
    this.#all = requests;
    for (const request of changed) for (const listener of [...this.#listeners]) listener(request);
  }

  /** What is known of those who asked and approved. It is no part of copies, nor of what the edge is told. */
  usersOf(id: string): KnownUsers {
    return this.find(id) ? (this.#users.get(id) ?? {}) : {};
  }

  /** Remembers the Kubernetes users of somebody who has asked again, with those that it knew before. */
  addUsers(id: string, person: DecidingPerson): void {
    const request = this.find(id);
    if (request && this.#noteUsers(id, person)) this.#write(request);
  }

  /** @returns whether any of them is new: a shell that waits asks again and again */
  #noteUsers(id: string, { user, ...person }: DecidingPerson): boolean {
    if (person.kubernetesUsers === undefined) return false;
    const known = this.#users.get(id) ?? {};
    const before = known[user] ?? [];
    const users = [...new Set([...before, ...kubernetesUsersOf(person)])];
    if (users.length === before.length) return false;
    this.#users.set(id, { ...known, [user]: users });
    return true;
  }

  #write(request: AccessRequest): void {
    const users = this.#users.get(request.id);
    const stored: StoredRequest = { ...request, ...(users && { kubernetesUsers: users }) };
    this.#sql.exec(
      "INSERT OR REPLACE INTO access_requests (access_id, request) VALUES (?, ?)",
      request.id,
      JSON.stringify(stored),
    );
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
