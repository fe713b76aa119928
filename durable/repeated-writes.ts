/**
 * Writes that machines repeat for as long as they run: leader election renews its lease every 2 s, which
 * would be 86,400 events a day, and controllers report events. They are changes like any other until they
 * are repeated. Then they are counted, and their summary names what was written. Pure: the clock is an
 * argument.
 */
import type { AuditedRequest } from "../audit/request-events.ts";

/** So many writes of the same thing have rows of their own, one after the other. */
const ROWS_AT_ONCE = 10;
/** Then one has its own row in this time, as a sample. */
export const SAMPLE_EVERY_MS = 60 * 60_000;
/** What a person writes of which the object knows. What was forgotten has rows of its own again. */
const MAX_TARGETS = 1_000;

/** Resource, as rules write it → the verbs that are repeated, and whether each object counts by itself. */
const REPEATED: ReadonlyMap<string, { readonly verbs: ReadonlySet<string>; readonly isByName: boolean }> = new Map([
  // Who writes another one's lease takes its leadership. So each is named.
  ["leases.coordination.k8s.io", { verbs: new Set(["update", "patch"]), isByName: true }],
  // An event's name is made of the time, so each would be a target of its own.
  ["events", { verbs: new Set(["create", "update", "patch"]), isByName: false }],
  ["events.events.k8s.io", { verbs: new Set(["create", "update", "patch"]), isByName: false }],
]);

/** What is written again and again. Summaries are told apart by it. */
export type WriteTarget = Pick<AuditedRequest, "cluster" | "verb" | "api_group" | "resource" | "namespace" | "name">;

interface Rows {
  left: number;
  /** ms since the epoch */
  sampledAt: number;
}

/** Which of one person's writes repeat others. In memory: an object that stops begins anew, with rows. */
export class RepeatedWrites {
  readonly #rows = new Map<string, Rows>();

  /**
   * Takes a write, and decides whether it needs a row of its own.
   *
   * @param hasRoom whether there is room for another row; if not, a write of what has rows already is counted
   * @param now ms since the epoch
   * @returns what to count it under; undefined where it is a change like any other
   */
  findRepetition(request: AuditedRequest, hasRoom: boolean, now: number): WriteTarget | undefined {
    const target = targetOf(request);
    if (!target) return undefined;
    // A write from elsewhere is news, whoever's credentials it has.
    const key = JSON.stringify([target, request.client_address]);
    const rows = this.#rows.get(key);
    if (!rows) {
      if (this.#rows.size >= MAX_TARGETS) this.#rows.clear();
      this.#rows.set(key, { left: ROWS_AT_ONCE - 1, sampledAt: now });
      return undefined;
    }
    if (!hasRoom) return target;
    if (rows.left > 0) {
      rows.left--;
      return undefined;
    }
    if (now - rows.sampledAt < SAMPLE_EVERY_MS) return target;
    rows.sampledAt = now;
    return undefined;
  }
}

function targetOf(request: AuditedRequest): WriteTarget | undefined {
  const { category, cluster, verb, api_group, resource, subresource, namespace, name } = request;
  // A summary does not say as whom somebody acted, nor by which access.
  const isSimple = request.own_kubernetes_user === undefined && request.grants === undefined;
  if (category !== "mutation" || !isSimple || subresource !== null) return undefined;
  const repeated = REPEATED.get(api_group ? `${resource}.${api_group}` : `${resource}`);
  if (!repeated?.verbs.has(verb ?? "")) return undefined;
  return { cluster, verb, api_group, resource, namespace, name: repeated.isByName ? name : null };
}
