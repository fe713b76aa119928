import type { StoredRequestRow } from "../../audit/rows.ts";

/** A row that has no id yet. */
export type UnsavedRow = Omit<StoredRequestRow, "id">;

/** Rows per window of time. What fits none of them is counted together. */
const MAX_KEYS = 20;

/** Counts requests that are too many for a row each: one row per kind, user and address. */
export class Tally {
  readonly #rows = new Map<string, UnsavedRow>();

  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /** How many requests are counted here. */
  get total(): number {
    return [...this.#rows.values()].reduce((sum, { count }) => sum + count, 0);
  }

  add(row: UnsavedRow): void {
    const { category, user, cluster, refusal, reason, client_address } = row;
    const key = JSON.stringify([category, user, cluster, refusal, reason, client_address]);
    if (this.#rows.has(key) || this.#rows.size < MAX_KEYS) this.#count(key, row);
    else this.#count(category, { ...row, ...ANONYMOUS, reason: "of several users, addresses or reasons" });
  }

  /** Takes the rows out. */
  drain(): UnsavedRow[] {
    const rows = [...this.#rows.values()];
    this.#rows.clear();
    return rows;
  }

  #count(key: string, row: UnsavedRow): void {
    const before = this.#rows.get(key);
    this.#rows.set(key, before ? { ...before, count: before.count + row.count } : row);
  }
}

const ANONYMOUS = { user: null, cluster: null, refusal: null, client_address: null };

/** Makes a row that stands for many requests of one kind: it keeps only what they have in common. */
export function summaryRow(row: UnsavedRow, change: Partial<UnsavedRow> = {}): UnsavedRow {
  return {
    ...{ at: row.at, user: row.user, kubernetes_user: null, cluster: row.cluster },
    ...{ category: row.category, decision: row.decision, rule: null, refusal: row.refusal, reason: row.reason },
    ...{ method: null, path: null, verb: null, api_group: null, resource: null, subresource: null },
    ...{ namespace: null, name: null, status: null, count: row.count },
    ...{ client_address: row.client_address, country: null, user_agent: null, ray: null },
    ...change,
  };
}
