import { recordRequests } from "../../audit/record-requests.ts";
import type { Category } from "../../audit/requests.ts";
import { withTimeout } from "../../audit/with-timeout.ts";
import { RefusalRate } from "../../durable/refused-attempts.ts";
import type { RequestAuditConfig } from "../config/schema.ts";
import { categoryOf, isAdminOrder } from "./category.ts";
import type { Facts } from "./facts.ts";
import { idMaker } from "./ids.ts";
import { type Clock, type Means, RequestQueue } from "./queue.ts";
import { rowOf } from "./row.ts";
import { summary, type Unsaved } from "./tally.ts";

/** Users of whom an isolate knows how often they were denied. */
const MAX_RATES = 1_000;
const WRITE_TIMEOUT_MS = 8_000;

const CLOCK: Clock = { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };

/** Keeps the record of plain requests that matter. One an isolate. */
export class RequestTrail {
  readonly #config: RequestAuditConfig;
  readonly #queue = new RequestQueue(idMaker(), CLOCK);
  readonly #rates = new Map<string, RefusalRate>();

  constructor(config: RequestAuditConfig) {
    this.#config = config;
  }

  /**
   * Takes note of a request that has its answer, or at least the answer's head. Neither delays nor fails it.
   *
   * @param status of the answer
   */
  note(
    request: Request,
    facts: Facts,
    status: number,
    database: D1Database,
    context: Pick<ExecutionContext, "waitUntil">,
  ): void {
    try {
      const category = this.#categoryOf(request, facts, status);
      if (category === "none") return;
      const row = rowOf(request, facts, category, status);
      const means: Means = {
        waitUntil: (work) => context.waitUntil(work),
        write: (rows) => withTimeout(recordRequests(database, rows), WRITE_TIMEOUT_MS),
      };
      if (category !== "denied") this.#queue.push(row, means);
      else this.#pushDenied(row, means);
    } catch (error) {
      console.error("audit: a request is missing from the record:", error);
    }
  }

  #categoryOf({ method, url }: Request, facts: Facts, status: number): Category | "none" {
    if (facts.refusal) return "denied";
    const { handedTo, identity, cluster = "", info, failure } = facts;
    if (handedTo === "sallyport") return isAdminOrder(method, new URL(url).pathname) ? "admin" : "none";
    if (handedTo !== "cluster" || !identity || !info) return "none";
    const asked = { identity, cluster, info, session: undefined };
    return categoryOf({ method, asked, status: failure === undefined ? status : null }, this.#config);
  }

  /**
   * To be refused costs nothing, so it must not fill the record: somebody unknown is only counted, by address, and of one
   * user no more have a row each than of refused sessions.
   */
  #pushDenied(row: Unsaved, means: Means): void {
    if (row.user === null) {
      this.#queue.count(summary(row), means);
    } else if (this.#rateOf(row.user).admits(row.at)) {
      this.#queue.push(row, means);
    } else {
      const reason = "more of this user's requests were denied within a minute than have a row each";
      this.#queue.count(summary(row, { reason, client_address: null }), means);
    }
  }

  #rateOf(user: string): RefusalRate {
    const rate = this.#rates.get(user) ?? new RefusalRate();
    // All at once, rather than the oldest: who is forgotten has 120 more.
    if (!this.#rates.has(user) && this.#rates.size >= MAX_RATES) this.#rates.clear();
    this.#rates.set(user, rate);
    return rate;
  }
}
