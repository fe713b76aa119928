/**
 * Changes objects over and over, while workerd is killed and restarted, and compares them with the audit log.
 */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "../../../tools/random.ts";
import type { Kill } from "./audit-log.ts";
import { type Person, tokenUser } from "./people.ts";
import type { SoakStack } from "./soak-stack.ts";

const PEOPLE = 3;
const CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps";
/** While workerd restarts. */
const PAUSE_MS = 200;
const REQUEST_TIMEOUT_MS = 15_000;
/** The status leaves right after the answer, and an object on a busy machine takes its time. */
const STATUS_AFTER_MS = 5_000;

interface Change {
  /** In the User-Agent, which the row has. */
  readonly tag: string;
  /** Of the answer; undefined where none came. */
  status?: number;
  /** Of a refusal by Sallyport: it may be recorded, or not. */
  isRefusal?: boolean;
  answeredAt?: number;
}

interface Row {
  readonly tag: string;
  readonly status: number | null;
  readonly reason: string | null;
}

/** Several people, each of whom makes one change after the other. */
export class ChangeLoops {
  readonly #stack: SoakStack;
  readonly #stopped = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly changes: Change[] = [];

  constructor(stack: SoakStack) {
    this.#stack = stack;
  }

  start(random: Random): void {
    for (let number = 1; number <= PEOPLE; number++) {
      this.#loops.push(this.#loop(tokenUser(this.#stack, `changes-${number}@soak.example`), number, random.fork()));
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  /** @returns tags of answered changes that D1 does not have yet */
  missing(): string[] {
    const known = new Set(this.#rows().map(({ tag }) => tag));
    return this.#answered.filter(({ tag }) => !known.has(tag)).map(({ tag }) => tag);
  }

  /** How many changes the cluster answered, and how many rows say that no answer is known. */
  get counts(): { answered: number; refused: number; unanswered: number; unknown: number } {
    const unknown = this.#rows().filter(({ reason }) => reason === "no answer known").length;
    const refused = this.changes.filter(({ isRefusal }) => isRefusal).length;
    const unanswered = this.changes.filter(({ status }) => status === undefined).length;
    return { answered: this.#answered.length, refused, unanswered, unknown };
  }

  faults(kills: readonly Kill[]): string[] {
    const rows = Map.groupBy(this.#rows(), ({ tag }) => tag);
    return this.changes.flatMap((change) => {
      const { tag, status } = change;
      const [row, second] = rows.get(tag) ?? [];
      if (second) return [`change ${tag} has several rows`];
      const isAnswered = this.#answered.includes(change);
      if (!row) return isAnswered ? [`change ${tag} was answered ${status} and has no row`] : [];
      if (row.status === null) {
        const isCut = !isAnswered || kills.some(({ at, readyAt }) => isSoonAfter(change, at, readyAt));
        if (row.reason !== "no answer known" && isAnswered) return [`change ${tag}: ${status}, not: ${row.reason}`];
        return isCut ? [] : [`change ${tag} was answered ${status}, and its row has no status`];
      }
      return isAnswered && row.status !== status ? [`change ${tag}: ${status}, not ${row.status}`] : [];
    });
  }

  get #answered(): Change[] {
    return this.changes.filter(({ status, isRefusal }) => status !== undefined && !isRefusal);
  }

  async #loop(person: Person, number: number, random: Random): Promise<void> {
    const name = `changes-${number}`;
    for (let count = 0; !this.#stopped.signal.aborted; count++) {
      const change: Change = { tag: `soak-change-${number}-${count}` };
      this.changes.push(change);
      const created = await this.#send(person, change, name, count);
      // The cluster's own state is lost with everything.
      if (created === 404) await this.#send(person, undefined, name, count);
      await delay(created === undefined ? PAUSE_MS : random.between(0, 60));
    }
  }

  /** @param change left out to create the object */
  async #send(person: Person, change: Change | undefined, name: string, count: number): Promise<number | undefined> {
    try {
      const { url, headers } = await person.endpoint();
      const metadata = { name, labels: { count: String(count) } };
      const response = await fetch(`${url}${CONFIG_MAPS}${change ? `/${name}` : ""}`, {
        method: change ? "PATCH" : "POST",
        headers: {
          ...headers,
          "Content-Type": change ? "application/merge-patch+json" : "application/json",
          ...(change && { "User-Agent": change.tag }),
        },
        body: JSON.stringify({ ...(!change && { apiVersion: "v1", kind: "ConfigMap" }), metadata }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      await response.text();
      if (change) {
        change.status = response.status;
        change.isRefusal = response.status === 429 || response.status >= 500;
        change.answeredAt = Date.now();
      }
      return response.status;
    } catch {
      // workerd was killed, or is not back yet.
      return undefined;
    }
  }

  #rows(): Row[] {
    const database = new DatabaseSync(this.#stack.facts.d1Path, { readOnly: true, timeout: 10_000 });
    try {
      const sql = "SELECT user_agent AS tag, status, reason FROM requests WHERE user_agent LIKE 'soak-change-%'";
      return database.prepare(sql).all() as unknown as Row[];
    } finally {
      database.close();
    }
  }
}

/** Whether workerd died before it could tell the object what it had answered, or before it was back. */
function isSoonAfter({ answeredAt = 0 }: Change, killedAt: number, readyAt: number): boolean {
  return killedAt - STATUS_AFTER_MS <= answeredAt && answeredAt <= readyAt;
}
