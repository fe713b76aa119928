/**
 * Makes changes over and over, while workerd is killed and restarted, and compares them with the audit log
 * and with what the cluster saw.
 */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../../tools/random.ts";
import { type AuditEvent, AuditTail } from "../../e2e/support/real-cluster.ts";
import type { Kill } from "./audit-log.ts";
import type { Person } from "./people.ts";
import type { SoakStack } from "./soak-stack.ts";

const CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps";
/** What a run makes has its number. */
const RUN_LABEL = "soak-changes";
/** While workerd restarts. */
const PAUSE_MS = 200;
const REQUEST_TIMEOUT_MS = 15_000;
/** The status leaves right after the answer, and an object on a busy machine takes its time. */
const STATUS_AFTER_MS = 5_000;
/** A request takes no longer before the cluster writes it down. */
const CUT_LOG_MS = 2_000;

const NO_ANSWER = "no answer known";
/** Longest time between a request's arrival at the cluster and its row in the object, on a busy machine. */
const RECORDED_WITHIN_MS = 3_000;
/** The same until its record has left the edge, which sends both in one turn. */
const SENT_WITHIN_MS = 20;
/** What was in the socket when workerd died still arrives. */
const ARRIVES_LATE_MS = 500;

interface Change {
  /** In the User-Agent, which the row and the cluster's audit log have. */
  readonly tag: string;
  readonly email: string;
  readonly method: "POST" | "PATCH" | "DELETE";
  /** Of the answer; undefined where none came. */
  status?: number;
  /** Of a refusal by Sallyport: it may be recorded, or not. */
  isRefusal?: boolean;
  /** Whether its client was told that the audit log did not accept it. */
  isTold?: boolean;
  answeredAt?: number;
}

interface Row {
  readonly tag: string;
  /** When it arrived, ms since the epoch. */
  readonly at: number;
  readonly user: string;
  readonly method: string;
  readonly status: number | null;
  readonly refusal: string | null;
  readonly reason: string | null;
}

export interface ChangeLoopsOptions {
  /** Distinguishes objects and User-Agents of this run: others use a cluster too. */
  readonly run: string;
  /** Path of the cluster's own audit log. */
  readonly clusterAuditLog: string;
  readonly killed: Killed;
}

/** What a kill takes: the edge, a change's object, or both in one process. */
export type Killed = "edge" | "objects" | "all";

/** Several people, each with several places. In each, one change follows the other. */
export class ChangeLoops {
  readonly #stack: SoakStack;
  readonly #killed: Killed;
  readonly #run: string;
  readonly #mark: string;
  readonly #cluster: AuditTail;
  readonly #stopped = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly changes: Change[] = [];

  constructor(stack: SoakStack, { run, clusterAuditLog, killed }: ChangeLoopsOptions) {
    this.#stack = stack;
    this.#killed = killed;
    this.#run = run;
    this.#mark = `soak-change-${run}-`;
    this.#cluster = new AuditTail(clusterAuditLog, this.#mark);
  }

  /** @param most the longest pause between two changes, ms */
  start(people: readonly Person[], placesEach: number, most: number, random: Random): void {
    for (const [number, person] of people.entries()) {
      for (let place = 1; place <= placesEach; place++) {
        this.#loops.push(this.#loop(person, `${this.#mark}${number + 1}-${place}`, most, random.fork()));
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  /**
   * @returns tags of changes that D1 should have and does not have yet: that were answered, or that the
   *   cluster saw, whose record no kill cut, and whose client was not told that it may be missing
   */
  missing(kills: readonly Kill[]): string[] {
    const { unrecorded, cutWithRecord, told } = this.#withoutRow(kills);
    const excused = new Set([...cutWithRecord, ...told]);
    return unrecorded.filter((tag) => !excused.has(tag));
  }

  /** What became of the changes: by their clients, by the cluster, and by the audit log. */
  counts(kills: readonly Kill[]) {
    const { cutWithRecord, told } = this.#withoutRow(kills);
    const seen = this.#seen();
    const unanswered = this.changes.filter(({ status }) => status === undefined);
    return {
      answered: this.#answered.length,
      refused: this.changes.filter(({ isRefusal }) => isRefusal).length,
      unanswered: unanswered.length,
      seen: seen.size,
      seenUnanswered: unanswered.filter(({ tag }) => seen.has(tag)).length,
      /** Rows that say that no answer is known. */
      unknown: this.#rows().filter(({ reason }) => reason === NO_ANSWER).length,
      /** Seen by the cluster, and cut together with their record. */
      withoutRow: cutWithRecord.length,
      /** Seen by the cluster, and answered that the audit log did not accept them. */
      told: told.length,
    };
  }

  #withoutRow(kills: readonly Kill[]): Record<"unrecorded" | "cutWithRecord" | "told", string[]> {
    const known = new Set(this.#rows().map(({ tag }) => tag));
    const answered = new Set(this.#answered.map(({ tag }) => tag));
    const seen = this.#seen();
    const unrecorded = [...new Set([...answered, ...seen.keys()])].filter((tag) => !known.has(tag));
    const isCut = (tag: string) => !answered.has(tag) && this.#isCut(seen.get(tag)?.[0], kills);
    const refused = new Set(this.changes.filter(({ isTold }) => isTold).map(({ tag }) => tag));
    return {
      unrecorded,
      cutWithRecord: unrecorded.filter((tag) => isCut(tag) && !refused.has(tag)),
      told: unrecorded.filter((tag) => refused.has(tag)),
    };
  }

  faults(kills: readonly Kill[]): string[] {
    const rows = Map.groupBy(this.#rows(), ({ tag }) => tag);
    const seen = this.#seen();
    const sent = new Set(this.changes.map(({ tag }) => tag));
    const invented = [...rows.keys()].filter((tag) => !sent.has(tag)).map((tag) => `row ${tag}: nobody sent it`);
    const ofChanges = this.changes.flatMap((change) => this.#faultsOf(change, rows, seen, kills));
    return [...this.#refusedPeople(seen), ...invented, ...ofChanges];
  }

  /** Where the cluster refuses everything, records and answers agree, and nothing is shown. */
  #refusedPeople(seen: ReadonlyMap<string, readonly AuditEvent[]>): string[] {
    const isDone = ({ responseStatus: { code = 0 } = {} }: AuditEvent) => code >= 200 && code < 300;
    return [...Map.groupBy([...seen.values()].flat(), ({ impersonatedUser }) => impersonatedUser?.username)]
      .filter(([, events]) => !events.some(isDone))
      .map(([user]) => `the cluster did nothing that ${user} asked for: may they change ConfigMaps in demo?`);
  }

  /**
   * Deletes what is left in a cluster that outlives the run, as one of its people.
   *
   * @param url of a `kubectl proxy`
   */
  async removeLeftovers(url: string): Promise<void> {
    const [{ email } = { email: "nobody" }] = this.changes;
    const headers = { "Impersonate-User": email, "Impersonate-Group": "developers" };
    const selected = `${CONFIG_MAPS}?labelSelector=${RUN_LABEL}%3D${this.#run}`;
    const answer = await fetch(url + selected, { method: "DELETE", headers }).catch(() => undefined);
    if (answer?.status !== 200) console.log(`left behind: ConfigMaps in demo with the label ${RUN_LABEL}=${this.#run}`);
  }

  #faultsOf(
    change: Change,
    rows: ReadonlyMap<string, readonly Row[]>,
    seen: ReadonlyMap<string, readonly AuditEvent[]>,
    kills: readonly Kill[],
  ): string[] {
    const { tag, method, email, status } = change;
    const [row, second] = rows.get(tag) ?? [];
    const [event, again] = seen.get(tag) ?? [];
    const isAnswered = this.#answered.includes(change);
    const fault = (message: string) => [`change ${tag} (${method}): ${message}`];
    if (second) return fault("it has several rows");
    if (again) return fault("the cluster saw it twice");
    const seenAs = event?.impersonatedUser?.username;
    if (event && seenAs !== email) return fault(`the cluster saw it as ${seenAs ?? event.user.username}`);
    if (!row) {
      if (isAnswered) return fault(`it was answered ${status} and has no row`);
      if (!event || change.isTold || this.#isCut(event, kills)) return [];
      return fault(`the cluster saw it (${event.responseStatus?.code}), and it has no row`);
    }
    if (row.user !== email || row.method !== method) return fault(`its row has ${row.method} by ${row.user}`);
    if (row.status === null) {
      const isCut = !isAnswered || kills.some(({ at, readyAt }) => isSoonAfter(change, at, readyAt));
      if (row.reason !== NO_ANSWER && isAnswered) return fault(`answered ${status}, not: ${row.reason}`);
      return isCut ? [] : fault(`it was answered ${status}, and its row has no status`);
    }
    if (isAnswered && row.status !== status) return fault(`answered ${status}, not ${row.status}`);
    // Sallyport's own answer, which says that there is none of the cluster's.
    if (row.status >= 500 || row.refusal !== null) return [];
    if (!event) return isLogCut(row, kills) ? [] : fault(`its row has ${row.status}, and the cluster never saw it`);
    const { code } = event.responseStatus ?? {};
    return code === row.status ? [] : fault(`the cluster answered ${code}, and its row has ${row.status}`);
  }

  get #answered(): Change[] {
    return this.changes.filter(({ status, isRefusal }) => status !== undefined && !isRefusal);
  }

  /**
   * Whether a kill cut a change together with its record: docs/REFERENCE.md, "What may be missing". Both are
   * under way at once. The object and its disk may be one process with the edge here.
   */
  #isCut(event: AuditEvent | undefined, kills: readonly Kill[]): boolean {
    const arrivedAt = Date.parse(event?.requestReceivedTimestamp ?? "");
    // The edge lives on, and tells whoever asked.
    if (this.#killed === "objects") return false;
    const withinMs = this.#killed === "all" ? RECORDED_WITHIN_MS : SENT_WITHIN_MS;
    return kills.some(({ at }) => at - withinMs <= arrivedAt && arrivedAt <= at + ARRIVES_LATE_MS);
  }

  /** The cluster's events of changes, by tag. One request may have several, for its stages. */
  #seen(): Map<string, AuditEvent[]> {
    const byRequest = new Map(this.#cluster.read().map((event) => [event.auditID, event]));
    return Map.groupBy(byRequest.values(), ({ userAgent = "" }) => userAgent);
  }

  async #loop(person: Person, name: string, most: number, random: Random): Promise<void> {
    let exists = false;
    for (let count = 0; !this.#stopped.signal.aborted; count++) {
      const method = exists ? random.pick(["PATCH", "PATCH", "DELETE"] as const) : "POST";
      const change: Change = { tag: `${name}-${count}`, email: person.email, method };
      this.changes.push(change);
      await this.#send(person, change, name);
      // A change that was cut may have been carried out, so the next one may find something else.
      if (change.status === 201 || change.status === 409) exists = true;
      if (change.status === 404 || (change.status === 200 && method === "DELETE")) exists = false;
      await delay(change.status === undefined ? PAUSE_MS : random.between(0, most));
    }
  }

  async #send(person: Person, change: Change, name: string): Promise<void> {
    const { method, tag } = change;
    const metadata = { name, labels: { [RUN_LABEL]: this.#run, tag } };
    const body = method === "POST" ? { apiVersion: "v1", kind: "ConfigMap", metadata } : { metadata };
    try {
      const { url, headers } = await person.endpoint();
      const response = await fetch(`${url}${CONFIG_MAPS}${method === "POST" ? "" : `/${name}`}`, {
        method,
        headers: {
          ...headers,
          "User-Agent": tag,
          "Content-Type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
        },
        ...(method !== "DELETE" && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      const text = await response.text();
      change.status = response.status;
      change.isTold = response.status === 503 && text.includes("it may have been carried out");
      change.isRefusal = response.status === 429 || response.status >= 500;
      change.answeredAt = Date.now();
    } catch {
      // workerd was killed, or is not back yet.
    }
  }

  #rows(): Row[] {
    const database = new DatabaseSync(this.#stack.facts.d1Path, { readOnly: true, timeout: 10_000 });
    try {
      const sql =
        "SELECT user_agent AS tag, at, user, method, status, refusal, reason FROM requests WHERE user_agent LIKE ?";
      return database.prepare(sql).all(`${this.#mark}%`) as unknown as Row[];
    } finally {
      database.close();
    }
  }
}

/** Whether workerd died before it could tell the object what it had answered, or before it was back. */
function isSoonAfter({ answeredAt = 0 }: Change, killedAt: number, readyAt: number): boolean {
  return killedAt - STATUS_AFTER_MS <= answeredAt && answeredAt <= readyAt;
}

/** Of what the embedded cluster saw just before it was killed itself, its own log may have nothing. */
function isLogCut({ at }: Row, kills: readonly Kill[]): boolean {
  return kills.some(
    ({ moment, at: killedAt }) => moment === "everything" && at <= killedAt && killedAt - at < CUT_LOG_MS,
  );
}
