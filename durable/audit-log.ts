import { bytesToHex } from "@noble/hashes/utils.js";
import { type DeploymentEventBody, NO_COUNTS, type SessionEventBody, type UserEventBody } from "../audit/events.ts";
import type { RequestEnd, RequestStart, RequestSummary } from "../audit/request-events.ts";
import { logEvent } from "../common/log.ts";
import { RateLimiter } from "../common/rate-limiter.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../contract/limits.ts";
import type { SessionPlan } from "../contract/session-plan.ts";
import type { Alarm } from "./alarm.ts";
import { makeEventId } from "./event-id.ts";
import { HEARTBEAT_MS } from "./intervals.ts";
import { BATCH_EVENTS, Outbox } from "./outbox.ts";
import { startEvent } from "./session/live-session.ts";
import { endEvent, outcomeOf } from "./session/outcome.ts";
import { refusedCommand } from "./session/refused-command.ts";
import { SessionRate } from "./session/session-rate.ts";
import { dayOf, SessionJournal } from "./storage/session-journal.ts";

/**
 * Rows of one object, per day, that are not changes and of no session that was begun: refused sessions, and
 * API requests that are rated. Beyond it they are counted.
 */
export const MAX_RATED_PER_DAY = 20_000;

/** How long events wait for others, ms. */
const DELIVER_WITHIN_MS = 250;

/** What a person has used up for a day: `maxChangesPerDay`, `maxSessionBytesPerDay`, or MAX_RATED_PER_DAY. */
export type DayLimit = "changes" | "sessions" | "rows";

/** What the audit log calls when it has written or could not deliver events. Neither may throw. */
export interface AuditLogObserver {
  /** An event that belongs to no session is written, in this turn. */
  readonly written: (id: string, at: number, event: UserEventBody | DeploymentEventBody) => void;
  /** D1 did not accept events, the oldest of which is from `oldestAt`. */
  readonly notDelivered: (oldestAt: number, now: number) => void;
}

/** The user's part of the audit log: durable in the object at once, delivered to D1 soon. */
export class AuditLog {
  readonly #state: DurableObjectState;
  readonly #alarm: Alarm;
  readonly #journal: SessionJournal;
  readonly #outbox: Outbox;
  readonly #observer: AuditLogObserver;
  readonly sessionRate = new SessionRate();
  readonly #refusalRate = new RateLimiter(REFUSED_ATTEMPTS_LIMIT);
  readonly #loggedDays = new Map<DayLimit, number>();
  #delivering: ReturnType<typeof setTimeout> | undefined;
  /**
   * Responses that are not written yet. An object that stops loses them: of a change whose response the edge
   * does not send again, no answer is known.
   */
  readonly #responses: (PromiseWithResolvers<void> & { readonly write: () => void })[] = [];

  constructor(state: DurableObjectState, alarm: Alarm, database: D1Database, observer: AuditLogObserver) {
    this.#state = state;
    this.#alarm = alarm;
    this.#journal = new SessionJournal(state.storage.sql);
    this.#outbox = new Outbox(this.#journal, database);
    this.#observer = observer;
  }

  /** What the object has of the audit log. */
  get journal(): SessionJournal {
    return this.#journal;
  }

  append(sessionId: string, event: SessionEventBody): void {
    const now = Date.now();
    const { hash, bytes } = this.#journal.append(sessionId, now, event);
    this.sessionRate.wrote(bytes, now);
    // A copy of the chain's last hash where nobody who can write to D1 can change it.
    if (event.type === "end") logEvent("log", "session_ended", { session: sessionId, hash });
    this.#deliverTogether();
  }

  /** @returns the id under which the event is */
  appendUserEvent(event: UserEventBody | DeploymentEventBody): string {
    const now = Date.now();
    const id = makeEventId(this.#state.id, now);
    this.#journal.appendUserEvent(id, now, event);
    this.#observer.written(id, now, event);
    this.#deliverSoon();
    return id;
  }

  /** @param isChange whether it is one of the day's changes */
  appendRequest(id: string, request: RequestStart, isChange: boolean): void {
    this.#journal.appendRequest(id, Date.now(), { type: "request", data: request }, isChange);
    this.#deliverTogether();
  }

  appendSummary(summary: RequestSummary): void {
    const now = Date.now();
    this.#journal.appendRequest(makeRequestId(now), now, { type: "request_summary", data: summary }, false);
    this.#deliverTogether();
  }

  /** Writes the response to an open request. Any other response is ignored. */
  appendResponse(id: string, response: RequestEnd): void {
    this.#journal.appendResponse(id, Date.now(), response);
    this.#deliverTogether();
  }

  /**
   * The same in a moment, together with others: nobody's answer waits for it, and each write to disk takes
   * its time.
   *
   * @returns resolves once it is written, and rejects if it cannot be
   */
  appendResponseSoon(id: string, response: RequestEnd): Promise<void> {
    const at = Date.now();
    const written = Promise.withResolvers<void>();
    this.#responses.push({ ...written, write: () => this.#journal.appendResponse(id, at, response) });
    this.#deliverTogether();
    return written.promise;
  }

  /** Delivers at once where as many events wait as fill a delivery, or half of what may wait. */
  deliverIfMany(maxQueuedEvents: number): void {
    // While D1 is away, the alarm tries again.
    if (this.#outbox.isFailing) return;
    if (this.#journal.queueLength() >= Math.min(BATCH_EVENTS, maxQueuedEvents / 2)) this.#deliverSoon();
  }

  /** Makes sure that the alarm rings for what is due in `ms`. */
  ringWithin(ms: number): void {
    this.#alarm.ringWithin(ms);
  }

  /**
   * Writes a session that never opened. Bounded: a client that keeps trying must not fill the audit log.
   *
   * @returns false where it is not written, and only to be counted
   */
  appendRefusal(plan: SessionPlan, accessReason: string | undefined, message: string): boolean {
    const now = Date.now();
    if (!this.#refusalRate.tryAcquire(now)) {
      logEvent("error", "audit_refusal_rate_limited");
      return false;
    }
    // During an outage of D1, refusals must not grow the queue that the limit of queued events has stopped.
    const queued = this.#journal.queueLength();
    if (queued >= 2 * plan.audit.maxQueuedEvents) {
      logEvent("error", "audit_refusal_queue_full", { queued });
      return false;
    }
    if (this.#journal.sessionBytesOnDayOf(now) >= plan.audit.maxSessionBytesPerDay) {
      this.logDayLimit("sessions", now);
      return false;
    }
    if (!this.acquireRatedRow(now)) return false;
    const start = { ...startEvent(plan, accessReason), command: refusedCommand(plan.target.command) };
    this.append(plan.sessionId, { type: "start", data: start });
    this.append(plan.sessionId, endEvent(outcomeOf("refused", message), NO_COUNTS));
    return true;
  }

  /** Takes one of the day's rated rows. */
  acquireRatedRow(now: number): boolean {
    const isAcquired = this.#journal.acquireRatedRow(now, MAX_RATED_PER_DAY);
    if (!isAcquired) this.logDayLimit("rows", now);
    return isAcquired;
  }

  /** Says once a day that its person has reached one of its limits. */
  logDayLimit(limit: DayLimit, now: number): void {
    const day = dayOf(now);
    if (this.#loggedDays.get(limit) === day) return;
    this.#loggedDays.set(limit, day);
    logEvent("warn", "day_limit_reached", { limit });
  }

  /** Resolves when D1 has everything or fails. Then the alarm tries again. */
  async deliver(): Promise<void> {
    // Repeats, because an event may have come while the last delivery was ending.
    do await this.#outbox.deliver();
    while (!this.#outbox.isFailing && this.#journal.queueLength() > 0);
    if (!this.#outbox.isFailing) return;
    this.#alarm.ringWithin(this.#outbox.retryInMs);
    const [oldest] = this.#journal.queued(1);
    if (oldest) this.#observer.notDelivered(oldest.at, Date.now());
  }

  /**
   * Delivers in a moment, together with what comes until then: the requests of a script follow each other
   * closely, as the events of a short session do, and each delivery is a write of D1 and one here.
   */
  #deliverTogether(): void {
    this.#alarm.ringWithin(HEARTBEAT_MS);
    this.#delivering ??= setTimeout(() => {
      this.#delivering = undefined;
      for (const { write, resolve, reject } of this.#responses.splice(0)) {
        try {
          write();
          resolve();
        } catch (error) {
          reject(error);
        }
      }
      this.#state.waitUntil(this.deliver());
    }, DELIVER_WITHIN_MS);
  }

  #deliverSoon(): void {
    this.#alarm.ringWithin(HEARTBEAT_MS);
    this.#state.waitUntil(this.deliver());
  }
}

/** As the edge's ids of requests: they begin with the time. */
function makeRequestId(at: number): string {
  const random = crypto.getRandomValues(new Uint8Array(10));
  return `${new Date(at).toISOString()}-${bytesToHex(random)}`;
}
