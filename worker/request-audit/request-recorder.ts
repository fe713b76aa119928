import { insertRequests } from "../../audit/insert-requests.ts";
import type { Category } from "../../audit/requests.ts";
import { RateLimiter } from "../../common/rate-limiter.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../../contract/limits.ts";
import type { RequestAuditConfig } from "../config/schema.ts";
import { categorize, isAuditedAdminRequest } from "./category.ts";
import { createIdGenerator } from "./ids.ts";
import { type Clock, type QueueDependencies, RequestQueue } from "./queue.ts";
import type { RequestTrace } from "./request-trace.ts";
import { buildRequestRow } from "./row.ts";
import { summaryRow, type UnsavedRow } from "./tally.ts";

/** Users of whom an isolate knows how often they were denied. */
const MAX_RATES = 1_000;
const WRITE_TIMEOUT_MS = 8_000;

const CLOCK: Clock = { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };

/** Keeps the record of plain requests that matter. One an isolate. */
export class RequestRecorder {
  readonly #config: RequestAuditConfig;
  readonly #queue = new RequestQueue(createIdGenerator(), CLOCK);
  readonly #rates = new Map<string, RateLimiter>();

  constructor(config: RequestAuditConfig) {
    this.#config = config;
  }

  /**
   * Takes note of a request that has its answer, or at least the answer's head. Neither delays nor fails it.
   *
   * @param status of the answer
   */
  record(
    request: Request,
    facts: RequestTrace,
    status: number,
    database: D1Database,
    context: Pick<ExecutionContext, "waitUntil">,
  ): void {
    try {
      const category = this.#categoryOf(request, facts, status);
      if (category === "none") return;
      const row = buildRequestRow(request, facts, category, status);
      const means: QueueDependencies = {
        waitUntil: (work) => context.waitUntil(work),
        write: (rows) => withTimeout(insertRequests(database, rows), WRITE_TIMEOUT_MS),
      };
      if (category !== "denied") this.#queue.push(row, means);
      else this.#pushDenied(row, means);
    } catch (error) {
      console.error("audit: a request is missing from the record:", error);
    }
  }

  #categoryOf({ method, url }: Request, facts: RequestTrace, status: number): Category | "none" {
    if (facts.refusal) return "denied";
    const { destination, identity, cluster = "", info, failure } = facts;
    if (destination === "sallyport") return isAuditedAdminRequest(method, new URL(url).pathname) ? "admin" : "none";
    if (destination !== "cluster" || !identity || !info) return "none";
    const asked = { identity, cluster, info, session: undefined };
    return categorize({ method, asked, status: failure === undefined ? status : null }, this.#config);
  }

  /**
   * To be refused costs nothing, so it must not fill the record: somebody unknown is only counted, by address, and of one
   * user no more have a row each than of refused sessions.
   */
  #pushDenied(row: UnsavedRow, means: QueueDependencies): void {
    if (row.user === null) {
      this.#queue.count(summaryRow(row), means);
    } else if (this.#rateOf(row.user).tryAcquire(row.at)) {
      this.#queue.push(row, means);
    } else {
      const reason = "more of this user's requests were denied within a minute than have a row each";
      this.#queue.count(summaryRow(row, { reason, client_address: null }), means);
    }
  }

  #rateOf(user: string): RateLimiter {
    const rate = this.#rates.get(user) ?? new RateLimiter(REFUSED_ATTEMPTS_LIMIT);
    // All at once, rather than the oldest: who is forgotten has 120 more.
    if (!this.#rates.has(user) && this.#rates.size >= MAX_RATES) this.#rates.clear();
    this.#rates.set(user, rate);
    return rate;
  }
}
