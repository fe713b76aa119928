import { insertRequests } from "../../audit/insert-requests.ts";
import type { Category } from "../../audit/request-categories.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { RateLimiter } from "../../common/rate-limiter.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { withTimeout } from "../../common/with-timeout.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../../contract/limits.ts";
import type { RequestAuditConfig } from "../config/schema.ts";
import { categorize, isAuditedAdminRequest } from "./category.ts";
import { createIdGenerator } from "./ids.ts";
import { type Clock, type QueueDependencies, RequestQueue } from "./queue.ts";
import type { RequestTrace } from "./request-trace.ts";
import { buildRequestRow } from "./row.ts";
import { summaryRow, type UnsavedRow } from "./tally.ts";

/** Users whose rate of denials an isolate keeps. */
const MAX_TRACKED_USERS = 1_000;

const CLOCK: Clock = { now: () => Date.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) };

/** Writes the API requests that matter to the audit log. There is one per isolate. */
export class RequestRecorder {
  readonly #config: RequestAuditConfig;
  readonly #queue = new RequestQueue(createIdGenerator(), CLOCK);
  readonly #denialRates = new Map<string, RateLimiter>();

  constructor(config: RequestAuditConfig) {
    this.#config = config;
  }

  /**
   * Records a request that has its answer, or at least the answer's head. Returns at once, and never throws.
   *
   * @param status the answer's HTTP status
   */
  record(
    request: Request,
    trace: RequestTrace,
    status: number,
    database: D1Database,
    context: Pick<ExecutionContext, "waitUntil">,
  ): void {
    try {
      const category = this.#categoryOf(request, trace, status);
      if (category === "none") return;
      const row = buildRequestRow(request, trace, category, status);
      const dependencies: QueueDependencies = {
        waitUntil: (work) => context.waitUntil(work),
        write: (rows) => withTimeout(insertRequests(database, rows), STORAGE_TIMEOUTS_MS.d1InsertRequests),
      };
      if (category !== "denied") this.#queue.push(row, dependencies);
      else this.#pushDenied(row, dependencies);
    } catch (error) {
      logEvent("error", "request_not_recorded", { error: describeError(error) });
    }
  }

  #categoryOf({ method, url }: Request, trace: RequestTrace, status: number): Category | "none" {
    if (trace.denial) return "denied";
    const { destination, identity, cluster = "", info, failure } = trace;
    if (destination === "sallyport") return isAuditedAdminRequest(method, new URL(url).pathname) ? "admin" : "none";
    if (destination !== "cluster" || !identity || !info) return "none";
    const query = { identity, cluster, info, session: undefined };
    return categorize({ method, query, status: failure === undefined ? status : null }, this.#config);
  }

  /**
   * A denied request costs its sender nothing, so it must not be able to fill the audit log. Requests of
   * unknown senders are only counted, by address. A user gets as many rows for denied requests as for refused
   * sessions.
   */
  #pushDenied(row: UnsavedRow, dependencies: QueueDependencies): void {
    if (row.user === null) {
      this.#queue.count(summaryRow(row), dependencies);
    } else if (this.#denialRateOf(row.user).tryAcquire(row.at)) {
      this.#queue.push(row, dependencies);
    } else {
      const reason = "more of this user's requests were denied within a minute than get a row each";
      this.#queue.count(summaryRow(row, { reason, client_address: null }), dependencies);
    }
  }

  #denialRateOf(user: string): RateLimiter {
    const rate = this.#denialRates.get(user) ?? new RateLimiter(REFUSED_ATTEMPTS_LIMIT);
    // All at once, not the oldest: an evicted user gets up to 120 rows more.
    if (!this.#denialRates.has(user) && this.#denialRates.size >= MAX_TRACKED_USERS) this.#denialRates.clear();
    this.#denialRates.set(user, rate);
    return rate;
  }
}
