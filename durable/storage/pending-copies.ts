import type { LocationHint } from "../../contract/placement.ts";

/** An object of the user that lacks what was decided. */
export interface PendingCopy extends Record<string, SqlStorageValue> {
  readonly user: string;
  readonly location_hint: LocationHint;
}

/** Which of the user's other objects lack a copy of what was decided here, in the object's SQLite. */
export class PendingCopies {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** @param version of what they lack */
  add(user: string, locationHints: readonly LocationHint[], version: number): void {
    for (const locationHint of locationHints) {
      this.#sql.exec(
        "INSERT OR REPLACE INTO pending_copies (location_hint, user, version) VALUES (?, ?, ?)",
        locationHint,
        user,
        version,
      );
    }
  }

  /** To be called when an object has `version`: it may lack a later one by now. */
  remove(locationHint: LocationHint, version: number): void {
    this.#sql.exec("DELETE FROM pending_copies WHERE location_hint = ? AND version <= ?", locationHint, version);
  }

  get all(): PendingCopy[] {
    return this.#sql.exec<PendingCopy>("SELECT user, location_hint FROM pending_copies").toArray();
  }
}
