import type { Category } from "../audit/request-categories.ts";
import type { AuditedRequest } from "../audit/request-events.ts";
import { logEvent } from "../common/log.ts";
import { networkOf } from "../common/network.ts";
import { type RateLimit, RateLimiter } from "../common/rate-limiter.ts";
import { err, ok, type Result } from "../common/result.ts";
import { type Denial, denial } from "../contract/denial.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../contract/limits.ts";
import type { Recorded, RequestLimits } from "../contract/request-record.ts";
import type { SessionPlan } from "../contract/session-plan.ts";
import type { UserObjectFields } from "../contract/user-object.ts";
import type { AuditLog } from "./audit-log.ts";
import { ChangeAllowances } from "./change-allowances.ts";
import { RepeatedWrites } from "./repeated-writes.ts";
import { type CountedRequests, SUMMARY_AFTER_MS, type SummaryKey } from "./storage/counted-requests.ts";

/** Requests without an identity that have an event each, per address or network. */
const UNKNOWN_SENDERS_LIMIT = { maxPerWindow: 10, windowMs: 60_000 };
const MAX_ADDRESSES = 1_000;
/** After so long without one, a request gets a response that says so, and the object forgets it. */
export const MAX_OPEN_MS = 24 * 60 * 60_000;

/** No try of a request is on its way for longer. The rates above bound how many requests that is. */
const TRIES_ARRIVE_WITHIN_MS = 60_000;

/** How often an object looks for such requests while it has any. */
const LOOK_FOR_OPEN_MS = 60 * 60_000;

const AUDIT_UNAVAILABLE = denial(
  "audit_unavailable",
  "the audit log cannot be written at the moment, so nothing may be changed and no recording read: try again " +
    "in some minutes; if this persists, contact your administrator",
);

type RequestFields = UserObjectFields<"recordRequest">;
/** What the log itself says of a request that it took. */
type RequestLogEntry = Omit<Recorded, "state">;

/** The API requests of one person, or those without an identity, in the object's audit log. */
export class RequestLog {
  readonly #audit: AuditLog;
  readonly #counted: CountedRequests;
  readonly #allowances = new ChangeAllowances();
  readonly #repeated = new RepeatedWrites();
  readonly #rates = new Map<Category, RateLimiter>();
  readonly #ratesOfAddresses = new Map<string, RateLimiter>();
  /** Requests that were written lately, and when: their other tries may still be on their way. */
  readonly #written = new Map<string, number>();

  constructor(audit: AuditLog, counted: CountedRequests) {
    this.#audit = audit;
    this.#counted = counted;
  }

  /**
   * Writes a request, or counts it where there are too many.
   *
   * @param now ms since the epoch
   * @returns how it is written, or why a change must not be carried out
   */
  record(fields: RequestFields, now: number): Result<RequestLogEntry, Denial> {
    const recorded = fields.isChange ? this.#recordChange(fields, now) : this.#recordOther(fields, now);
    this.#audit.deliverIfMany(fields.limits.maxQueuedEvents);
    return recorded;
  }

  /** Writes the answer to a request, if it is open. Resolves once it is written. */
  async respond({ requestId, status, reason, podFacts }: UserObjectFields<"recordResponse">): Promise<void> {
    await this.#audit.appendResponseSoon(requestId, { status, reason, ...(podFacts && { pod_facts: podFacts }) });
  }

  /** Counts a session that was refused, and is one too many for rows of its own. */
  countRefusedSession({ user, locationHint, cluster }: SessionPlan, { code }: Denial, now: number): void {
    const unknown = { verb: null, api_group: null, resource: null, client_address: null };
    const refused = { category: "denied", decision: "refused", refusal: code, reason: TOO_MANY_SESSIONS } as const;
    this.#add({ user, location_hint: locationHint, cluster, ...refused, ...unknown }, now);
  }

  /**
   * Writes what is due: summaries of counted requests, and responses to requests of which no answer will
   * come. Then it sees to the next alarm. Summaries of one window are at most 234, so they need no room in
   * the queue.
   */
  onAlarm(now: number): void {
    const { journal } = this.#audit;
    for (const requestId of journal.openRequestsBefore(now - MAX_OPEN_MS)) {
      this.#audit.appendResponse(requestId, { status: null, reason: "no answer known" });
    }
    // While D1 is away, counting goes on without them.
    if (journal.queueLength() === 0) {
      for (const summary of this.#counted.takeDue(now)) this.#audit.appendSummary(summary);
    }
    this.#ringForSummaries(now);
    if (journal.openRequestCount() > 0) this.#audit.ringWithin(LOOK_FOR_OPEN_MS);
  }

  #recordChange(fields: RequestFields, now: number): Result<RequestLogEntry, Denial> {
    const { requestId, request, isHandedOn, failedTries, isolate, limits } = fields;
    const { journal } = this.#audit;
    const isAdmin = request.category === "admin";
    // An administrator's commands, which end sessions, go on for longer.
    const factor = isAdmin ? 2 : 1;
    // Its response makes two events.
    const room = factor * limits.maxQueuedEvents - journal.queueLength() - journal.openRequestCount();
    const maxToday = factor * limits.maxChangesPerDay;
    const roomToday = maxToday - journal.changesOnDayOf(now);
    const { maxChangesPerMinute } = limits;
    const isKnown = this.#isKnown(requestId, failedTries);
    if (!isKnown && this.#isRepetition(request, Math.min(room, roomToday) > 0, now)) {
      if (isHandedOn) this.#allowances.release(isolate);
      const free = Math.min(room, roomToday);
      return ok({ as: "counted", allowance: this.#allowances.grant(isolate, maxChangesPerMinute, free, now) });
    }
    if (!isKnown && !isHandedOn) {
      if (room <= 0) return err(AUDIT_UNAVAILABLE);
      if (roomToday <= this.#allowances.reserved(now)) return err(this.#refuseToday(request, maxToday, now));
      const retryAfterMs = isAdmin ? 0 : this.#allowances.take(maxChangesPerMinute, now);
      if (retryAfterMs > 0) return err(this.#refuse(request, tooManyAtOnce(limits, "changes", retryAfterMs)));
    }
    if (!isKnown) {
      if (isHandedOn) this.#allowances.spend(isolate, now);
      this.#audit.appendRequest(requestId, { ...request, awaits_response: true }, true);
      this.#noteWritten(requestId, now);
    }
    const left = Math.min(room, roomToday) - (isKnown ? 0 : 1);
    return ok({
      as: "event",
      allowance: isAdmin ? null : this.#allowances.grant(isolate, maxChangesPerMinute, left, now),
    });
  }

  /** Counts a write that repeats others. All others are changes. */
  #isRepetition(request: AuditedRequest, hasRoom: boolean, now: number): boolean {
    const target = this.#repeated.findRepetition(request, hasRoom, now);
    if (!target) return false;
    const { user, location_hint, category, decision, refusal, arrived_at } = request;
    const of = { user, location_hint, category, decision, refusal, client_address: null };
    if (!this.#counted.addRepeated({ ...of, ...target }, arrived_at)) return false;
    this.#ringForSummaries(now);
    return true;
  }

  #ringForSummaries(now: number): void {
    const dueAt = this.#counted.nextDueAt;
    // One that is due already waits for D1.
    if (dueAt !== null) this.#audit.ringWithin(dueAt > now ? dueAt - now : SUMMARY_AFTER_MS);
  }

  #refuseToday(request: AuditedRequest, maxToday: number, now: number): Denial {
    this.#audit.logDayLimit("changes", now);
    return this.#refuse(request, tooManyToday(maxToday));
  }

  #refuse(request: AuditedRequest, refusal: Denial): Denial {
    this.#count({ ...request, category: "denied", decision: "refused", refusal: refusal.code });
    return refusal;
  }

  #recordOther(fields: RequestFields, now: number): Result<RequestLogEntry, Denial> {
    const { requestId, request, isHandedOn, failedTries, limits } = fields;
    const { journal } = this.#audit;
    // Its answer names it by its id, so every try has the same: it is open until then.
    if (isHandedOn && this.#isKnown(requestId, failedTries)) return ok(EVENT);
    // D1 may already have an earlier try. So this one is another row: two of one id would break the chain.
    const [id = requestId, ...earlierIds] = idsOfTries(requestId, isHandedOn ? 0 : failedTries);
    if (earlierIds.some((earlier) => journal.isQueued(earlier))) return ok(EVENT);
    const hasRoom = journal.queueLength() + journal.openRequestCount() < 2 * limits.maxQueuedEvents;
    if (request.category === "admin") {
      const admitted = this.#admitReadRecording(request, hasRoom, limits, now);
      if (!admitted.ok) return admitted;
    } else if (!hasRoom || !this.#isWithinRate(request, now)) {
      this.#count(request);
      return ok(COUNTED);
    }
    const isReadOfRecording = request.category === "admin";
    this.#audit.appendRequest(id, { ...request, awaits_response: isHandedOn }, isReadOfRecording);
    this.#noteWritten(id, now);
    return ok(EVENT);
  }

  /**
   * Whether an earlier try of a request is written, or a later one that overtook it: it may be answered by
   * now. What was on its way to an earlier life of the object never arrives.
   */
  #isKnown(requestId: string, failedTries: number): boolean {
    return this.#written.has(requestId) || (failedTries > 0 && this.#audit.journal.isOpenRequest(requestId));
  }

  #noteWritten(requestId: string, now: number): void {
    for (const [id, at] of this.#written) {
      if (now - at < TRIES_ARRIVE_WITHIN_MS) break;
      this.#written.delete(id);
    }
    this.#written.set(requestId, now);
  }

  /** Never only counted: a summary does not say whose recording was read. So it counts as a change. */
  #admitReadRecording(
    request: AuditedRequest,
    hasRoom: boolean,
    limits: RequestLimits,
    now: number,
  ): Result<null, Denial> {
    if (!hasRoom) return err(AUDIT_UNAVAILABLE);
    const { maxChangesPerDay, maxChangesPerMinute } = limits;
    const today = this.#audit.journal.changesOnDayOf(now) + this.#allowances.reserved(now);
    if (today >= maxChangesPerDay) return err(this.#refuseToday(request, maxChangesPerDay, now));
    const retryAfterMs = this.#allowances.take(maxChangesPerMinute, now);
    if (retryAfterMs === 0) return ok(null);
    return err(this.#refuse(request, tooManyAtOnce(limits, "changes and reads of recordings", retryAfterMs)));
  }

  /** Per category, and without an identity per address too. Then per day, which a restart does not forget. */
  #isWithinRate({ user, category, client_address }: AuditedRequest, now: number): boolean {
    if (user === null) {
      const rates = this.#ratesOfAddresses;
      // All at once, not the oldest: what is forgotten so is bounded by the category's own rate.
      if (rates.size >= MAX_ADDRESSES) rates.clear();
      if (!rateOf(rates, networkOf(String(client_address)), UNKNOWN_SENDERS_LIMIT).tryAcquire(now)) return false;
    }
    if (!rateOf(this.#rates, category, REFUSED_ATTEMPTS_LIMIT).tryAcquire(now)) return false;
    return this.#audit.acquireRatedRow(now);
  }

  #count(request: AuditedRequest): void {
    this.#add(keyOf(request), request.arrived_at);
  }

  #add(key: SummaryKey, at: number): void {
    if (this.#counted.add(key, at)) logEvent("warn", "requests_counted");
    this.#ringForSummaries(Date.now());
  }
}

function rateOf<K>(rates: Map<K, RateLimiter>, key: K, limit: RateLimit): RateLimiter {
  const rate = rates.get(key) ?? new RateLimiter(limit);
  rates.set(key, rate);
  return rate;
}

function tooManyAtOnce({ maxChangesPerMinute }: RequestLimits, what: string, retryAfterMs: number): Denial {
  const retryAfterSeconds = Math.ceil(retryAfterMs / 1_000);
  const message = `you have made ${maxChangesPerMinute} ${what} within a minute: try again in ${retryAfterSeconds} s`;
  return { ...denial("too_many_changes", message), retryAfterSeconds };
}

/** Without a time to try again: clients would wait for it in silence. */
function tooManyToday(maxToday: number): Denial {
  const message =
    `you have made ${maxToday} changes today, and the day ends at 00:00 UTC: try again then, ` +
    "or ask your administrator to raise audit.requests.maxChangesPerDay";
  return denial("too_many_changes", message);
}

/** The ids of a request's tries, the last one first. */
function idsOfTries(requestId: string, failedTries: number): string[] {
  const earlier = Array.from({ length: failedTries }, (_, index) => `${requestId}r${failedTries - index}`);
  return [...earlier, requestId];
}

const EVENT: RequestLogEntry = { as: "event", allowance: null };
const COUNTED: RequestLogEntry = { as: "counted", allowance: null };
const TOO_MANY = "more of them within a minute, or a day, than get a row each";
const TOO_MANY_SESSIONS = `refused sessions: ${TOO_MANY}`;

function keyOf(request: AuditedRequest): SummaryKey {
  const { user, location_hint, cluster, category, decision, refusal, verb, api_group, resource } = request;
  const client_address = user === null && request.client_address ? networkOf(request.client_address) : null;
  return {
    ...{ user, location_hint, cluster, category, decision, refusal, reason: TOO_MANY },
    ...{ verb, api_group, resource, client_address },
  };
}
