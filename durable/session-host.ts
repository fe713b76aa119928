import type { RecordingSummary } from "../audit/events.ts";
import { describeError, logEvent } from "../common/log.ts";
import { RateLimiter } from "../common/rate-limiter.ts";
import { ok, type Result } from "../common/result.ts";
import { withTimeout } from "../common/with-timeout.ts";
import { accessStateOf } from "../contract/access.ts";
import type { SharedBindings } from "../contract/bindings.ts";
import { type Denial, denial } from "../contract/denial.ts";
import {
  callDirectory,
  type DirectoryFields,
  type DirectoryMethod,
  type DirectoryValue,
  versionOfAccessReport,
} from "../contract/directory.ts";
import { tryLoadGivenAccess } from "../contract/given-access.ts";
import { userObjectName } from "../contract/placement.ts";
import type { RecordingBlock } from "../contract/recording.ts";
import type { Recorded } from "../contract/request-record.ts";
import type { SessionPlan } from "../contract/session-plan.ts";
import type { LiveSessionRow } from "../contract/session-row.ts";
import { callUserObject, type UserObjectFields, type UserObjectValue } from "../contract/user-object.ts";
import type { WatchRequest } from "../contract/watch.ts";
import { AccessDecisions } from "./access/access-decisions.ts";
import { Alarm } from "./alarm.ts";
import { AuditLog } from "./audit-log.ts";
import type { ObjectsBindings } from "./bindings.ts";
import { Decisions } from "./decisions.ts";
import { AccessReporter } from "./directory/access-reporter.ts";
import { DirectoryReporter } from "./directory/reporter.ts";
import { makeEventId } from "./event-id.ts";
import { HEARTBEAT_MS } from "./intervals.ts";
import { OutageReporter } from "./notifications/database-outage.ts";
import { makeNotifier } from "./notifications/make-notifier.ts";
import type { Notifier } from "./notifications/notifier.ts";
import { readWebhooks } from "./notifications/read-webhooks.ts";
import { endLabel } from "./recording/cast-lines.ts";
import { Recordings } from "./recording/recordings.ts";
import { type Refusal, refusalOf, toResponse } from "./refusal.ts";
import { attemptKey, RefusedAttempts } from "./refused-attempts.ts";
import { RequestLog } from "./request-log.ts";
import { type AdmissionState, admit, currentReason } from "./session/admission.ts";
import { GIVEN_UP } from "./session/approval.ts";
import { LiveSessions } from "./session/live-sessions.ts";
import { endEvent, outcomeFromStatus, outcomeOf } from "./session/outcome.ts";
import { SessionClock } from "./session/session-clock.ts";
import { type SessionAttempt, SessionOpener } from "./session/session-opener.ts";
import { StateCopies } from "./state-copies.ts";
import { CountedRequests } from "./storage/counted-requests.ts";
import { OpenWatches } from "./storage/open-watches.ts";
import { StdinBuffer } from "./storage/stdin-buffer.ts";
import { UserLocks } from "./storage/user-locks.ts";
import { sallyportLine } from "./watch/sallyport-line.ts";
import { WatchBudget } from "./watch/watch-budget.ts";
import { Watches } from "./watch/watches.ts";

const SPDY_UNSUPPORTED: Denial = denial(
  "spdy_unsupported",
  "SPDY sessions are not supported: use kubectl 1.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true " +
    "(for port-forward KUBECTL_PORT_FORWARD_WEBSOCKETS=true) with 1.29 and 1.30; " +
    "if your kubectl is recent, its WebSocket attempt failed: try again",
);

type Namespace = SharedBindings["USER_SESSIONS"];
/** Why a request was withdrawn whose session could not wait for it. */
const NOT_BEGUN = "its session was refused, so that nothing waited for it";
/** Each message is an event in the audit log. */
const MESSAGES_LIMIT = { maxPerWindow: 60, windowMs: 60_000 };
/** While D1 fails, the alarm rings each second at first. */
const GIVEN_ACCESS_READS = { maxPerWindow: 1, windowMs: 10_000 };
/** How long a recording that has ended waits for others, ms. */
const UPLOAD_AFTER_MS = 250;
/** How long another person's object may take to say whether they are locked, ms. */
const LOCK_WITHIN_MS = 3_000;

/** One user's sessions with the clusters that share a location: admits, opens, lists and ends them. */
export class SessionHost {
  /** Locks and reasons. */
  readonly decisions: Decisions;
  /** Requests for access, and grants. */
  readonly access: AccessDecisions;
  readonly #state: DurableObjectState;
  readonly #bucket: SharedBindings["RECORDINGS"];
  readonly #namespace: Namespace;
  readonly #alarm: Alarm;
  readonly #locks: UserLocks;
  readonly #notifier: Notifier;
  readonly #audit: AuditLog;
  readonly #recordings: Recordings;
  readonly #sessions: LiveSessions;
  readonly #clock: SessionClock;
  readonly #opener: SessionOpener;
  readonly #reporter: DirectoryReporter;
  readonly #accessReporter: AccessReporter;
  readonly #watches: Watches;
  readonly #messages = new RateLimiter(MESSAGES_LIMIT);
  readonly #givenAccessReads = new RateLimiter(GIVEN_ACCESS_READS);
  readonly #refusedAttempts = new RefusedAttempts();
  readonly #requests: RequestLog;
  /** Requests for access whose sessions have left, while others wait for them. */
  readonly #madeBySessionsThatLeft = new Set<string>();
  #uploadTimer: ReturnType<typeof setTimeout> | undefined;

  /** @param state whose database has the current schema */
  constructor(state: DurableObjectState, env: ObjectsBindings) {
    const { sql } = state.storage;
    this.#state = state;
    this.#bucket = env.RECORDINGS;
    this.#namespace = env.USER_SESSIONS;
    this.#alarm = new Alarm(state.storage);
    this.#locks = new UserLocks(sql);
    this.#notifier = makeNotifier(state, this.#alarm, readWebhooks(env.SALLYPORT_WEBHOOKS).webhooks);
    const outages = new OutageReporter((since) => tellDirectory(env.DIRECTORY, "reportOutage", { since }));
    this.#audit = new AuditLog(state, this.#alarm, env.AUDIT_DB, {
      written: (id, at, event) => this.#notifier.notify(id, at, event),
      // Also where nobody is to be notified: administrators see it in the health of the deployment.
      notDelivered: (oldestAt, now) => outages.notDelivered(oldestAt, now),
    });
    this.#requests = new RequestLog(this.#audit, new CountedRequests(sql));
    this.#recordings = new Recordings(sql, env.RECORDINGS, () => this.#uploadInAMoment(), {
      isBusy: () => this.#clock.isBusy,
    });
    this.#sessions = new LiveSessions(this.#audit, this.#recordings, (count) => {
      if (count > 0) this.#clock.start();
      else this.#clock.stop();
      this.#reporter.sessionsChanged(count);
    });
    this.#clock = new SessionClock(this.#sessions, this.#audit.journal, () => {
      if (this.#recordings.isDue) this.#uploadSoon();
      this.#reporter.tick();
    });
    const objectId = state.id.toString();
    this.#reporter = new DirectoryReporter({
      objectId,
      sessions: () => this.#sessions.all,
      send: (report) => tellDirectory(env.DIRECTORY, "report", report),
      now: Date.now,
      random: Math.random,
    });
    const { access } = this.#locks;
    this.#opener = new SessionOpener(state, env, this.#audit, this.#recordings, this.#sessions, access, {
      onGivenUp: ({ plan }) => this.#withdraw(plan, GIVEN_UP.message),
      watching: { budget: new WatchBudget(), isBusy: () => this.#clock.isBusy },
    });
    access.onChange((request) => {
      const now = Date.now();
      if (accessStateOf(request, now) !== "pending") this.#madeBySessionsThatLeft.delete(request.id);
      this.#sessions.accessChanged(request.id, now);
    });
    this.#watches = new Watches({
      audit: this.#audit,
      open: new OpenWatches(sql),
      session: (sessionId) => this.#sessions.get(sessionId),
      isLocked: (user) => isLocked(env.USER_SESSIONS, user),
    });
    const copies = new StateCopies(env.USER_SESSIONS, sql, this.#locks);
    this.decisions = new Decisions({
      locks: this.#locks,
      copies,
      alarm: this.#alarm,
      audit: this.#audit,
      sessions: this.#sessions,
    });
    this.#accessReporter = new AccessReporter({
      objectId,
      sql,
      requests: () => this.#locks.access.all,
      send: (report) => reportAccess(env.DIRECTORY, report),
      ringWithin: (ms) => this.#alarm.ringWithin(ms),
      now: () => Date.now(),
    });
    this.access = new AccessDecisions({
      locks: this.#locks,
      audit: this.#audit,
      sessions: this.#sessions,
      directory: this.#accessReporter,
      makeId: () => makeEventId(state.id, Date.now()),
      copy: (user, copyTo) => this.decisions.copy(user, copyTo),
      notReached: () => copies.notReached,
    });
    this.#endInterrupted();
  }

  /** Opens a session or refuses it. */
  async attempt(attempt: SessionAttempt): Promise<Response> {
    const { plan, url } = attempt;
    const now = Date.now();
    const key = attemptKey(url, plan.client.attempt);
    if (plan.transport === "spdy") {
      const firstHalf = this.#refusedAttempts.take(key, now);
      return toResponse(firstHalf ?? this.#refuse(plan, SPDY_UNSUPPORTED, now));
    }
    const admission = admit(this.#admissionState(now), plan, now);
    if (!admission.ok) {
      const refusal = this.#refuse(plan, admission.error, now);
      this.#withdraw(plan, NOT_BEGUN);
      this.#refusedAttempts.remember(key, refusal, now);
      return toResponse(refusal);
    }
    this.#audit.sessionRate.begin(now);
    const opened = await this.#opener.open(attempt, admission.value);
    if (opened.ok) return opened.value;
    this.#withdraw(plan, NOT_BEGUN);
    this.#refusedAttempts.remember(key, opened.error, Date.now());
    return toResponse(opened.error);
  }

  /** Shows a live session to somebody else, or refuses it. */
  watch(watch: WatchRequest, client: Pick<Request, "headers" | "signal">): Promise<Response> {
    return this.#watches.begin(watch, client);
  }

  /** Shows a line of an administrator's on a session's terminal. Only what is shown is in the audit log. */
  showMessage(sessionId: string, by: string, text: string): UserObjectValue<"showMessage"> {
    const session = this.#sessions.get(sessionId);
    if (!session?.relay) return "not_live";
    if (!this.#messages.tryAcquire(Date.now())) return "too_many";
    if (!session.relay.notify({ line: sallyportLine(`${by}: ${text}`), onlyTerminal: true })) return "no_terminal";
    this.#audit.appendUserEvent({ type: "message", data: { user: session.plan.user, session: sessionId, by, text } });
    return "shown";
  }

  /** Ends a session that must be watched, for one of those who watch it. */
  endWatched({ sessionId, by, reason }: UserObjectFields<"endWatched">): UserObjectValue<"endWatched"> {
    const session = this.#sessions.get(sessionId);
    if (!session) return "not_live";
    if (!session.moderation?.isWatchedBy(by)) return "not_watching";
    return this.#sessions.terminate(sessionId, by, reason) ? "ended" : "not_live";
  }

  list(): LiveSessionRow[] {
    return [...this.#sessions.all].map(({ row }) => row);
  }

  describe(sessionId: string): LiveSessionRow | null {
    return this.#sessions.get(sessionId)?.row ?? null;
  }

  /** @returns whether the session was open */
  terminate(sessionId: string, by: string, reason: string): boolean {
    return this.#sessions.terminate(sessionId, by, reason);
  }

  /** @returns the ids of the ended sessions */
  terminateAll(by: string, reason: string): string[] {
    return this.#sessions.terminateAll(by, reason);
  }

  async recordRequest(fields: UserObjectFields<"recordRequest">): Promise<Result<Recorded, Denial>> {
    // It is on its way to the cluster, so it may wait for what else arrives now: one commit for all of that.
    // Where the object shares a thread with the edge, the request leaves before that waits for the disk.
    if (fields.isHandedOn) await scheduler.wait(0);
    const recorded = this.#requests.record(fields, Date.now());
    return recorded.ok ? ok({ ...recorded.value, state: this.decisions.state }) : recorded;
  }

  recordResponse(fields: UserObjectFields<"recordResponse">): Promise<void> {
    return this.#requests.respond(fields);
  }

  readRecording(sessionId: string, offset: number): RecordingBlock | null {
    return this.#recordings.read(sessionId, offset, Date.now());
  }

  async onAlarm(): Promise<void> {
    this.#alarm.hasRung();
    // Not awaited: R2 and receivers of notifications may take their time, and no alarm rings before this one
    // is over, for D1 neither.
    this.#uploadSoon();
    this.#notifier.onAlarm();
    void this.#endNotGiven();
    await Promise.all([this.#audit.deliver(), this.decisions.retryCopies(), this.#accessReporter.onAlarm()]);
    this.#requests.onAlarm(Date.now());
    const hasMoreToDo =
      this.#sessions.isUnfinished || this.#audit.journal.queueLength() > 0 || this.#recordings.hasWaiting;
    if (hasMoreToDo) this.#alarm.ringWithin(HEARTBEAT_MS);
  }

  /** Ends what is open with something that a grant has ceased to give. Never rejects. */
  async #endNotGiven(): Promise<void> {
    if (!this.#sessions.haveGrants || !this.#givenAccessReads.tryAcquire(Date.now())) return;
    const given = await tryLoadGivenAccess(this.#bucket);
    if (given) this.#sessions.endNotGiven(given);
  }

  #admissionState(now: number): AdmissionState {
    return {
      openSessions: this.#sessions.running,
      waitingSessions: this.#sessions.waiting,
      unreadBytes: this.#sessions.unreadBytes,
      queuedEvents: this.#audit.journal.queueLength(),
      lock: this.#locks.lock,
      accessReason: this.#locks.reason,
      sessionBytesToday: this.#audit.journal.sessionBytesOnDayOf(now),
      access: this.#locks.access.all,
      nextSessionInMs: this.#audit.sessionRate.waitMs(now),
      hasTooManyRefusals: this.#opener.hasTooManyRefusals(now),
    };
  }

  /** Writes an attempt that is not even started to the audit log. */
  #refuse(plan: SessionPlan, why: Denial, now: number): Refusal {
    const isWritten = this.#audit.appendRefusal(plan, currentReason(this.#locks.reason, now), why.message);
    if (!isWritten) this.#requests.countRefusedSession(plan, why, now);
    return refusalOf(why);
  }

  /** Sessions that are only in the database were open when an earlier life of this object stopped. */
  #endInterrupted(): void {
    const sessions = this.#audit.journal.openSessions().map((session) => {
      const { finalStatus, checkpointAt } = session;
      const known = finalStatus && outcomeFromStatus(finalStatus);
      return { ...session, known, outcome: known ?? outcomeOf("interrupted", stoppedAfter(checkpointAt)) };
    });
    const labels = sessions.flatMap(({ sessionId, known }) =>
      known ? [[sessionId, endLabel(known.outcome, known.exitCode, known.reason)] as const] : [],
    );
    const recordings: ReadonlyMap<string, RecordingSummary> = this.#recordings.endInterrupted(new Map(labels));
    for (const { sessionId, outcome, counts } of sessions) {
      this.#audit.append(sessionId, endEvent(outcome, counts, {}, recordings.get(sessionId)));
    }
    this.#watches.endInterrupted();
    if (sessions.length > 0) this.#reporter.sessionsInterrupted();
    // Its sockets are gone.
    StdinBuffer.removeAll(this.#state.storage.sql);
  }

  /**
   * Withdraws the request of a session that has ended before anybody decided, so that nobody approves what
   * nobody waits for. Not one that was there before, nor one that another session waits for: the last of them
   * that leaves withdraws it.
   */
  #withdraw({ user, kubernetesUser, approval, locationHint }: SessionPlan, reason: string): void {
    if (!approval) return;
    const { accessId: id, copyTo, isOwnRequest } = approval;
    if (!isOwnRequest && !this.#madeBySessionsThatLeft.has(id)) return;
    if ([...this.#sessions.all].some(({ wait }) => wait?.accessId === id)) {
      this.#madeBySessionsThatLeft.add(id);
      return;
    }
    this.#madeBySessionsThatLeft.delete(id);
    const known = this.#locks.access.find(id);
    if (known && accessStateOf(known, Date.now()) !== "pending") return;
    const by = known?.person ?? { user, subject: null, kubernetesUser };
    this.#state.waitUntil(this.#endRequest({ id, by, reason, copyTo: [...copyTo] }, user, locationHint === null));
  }

  /** @param decidesHere whether this object has the original of the request. Never rejects. */
  async #endRequest(fields: UserObjectFields<"endAccess">, user: string, decidesHere: boolean): Promise<void> {
    try {
      const ended = decidesHere
        ? await this.access.end(fields)
        : await callUserObject(this.#namespace.getByName(userObjectName(user, null)), "endAccess", fields);
      if (!ended.ok) logEvent("warn", "request_not_withdrawn", { error: ended.error.code });
    } catch (error) {
      logEvent("warn", "request_not_withdrawn", { error: describeError(error) });
    }
  }

  /** Not at once: whoever has just ended a session still waits for its last messages, on the same thread. */
  #uploadInAMoment(): void {
    this.#uploadTimer ??= setTimeout(() => {
      this.#uploadTimer = undefined;
      this.#uploadSoon();
    }, UPLOAD_AFTER_MS);
  }

  #uploadSoon(): void {
    this.#state.waitUntil(this.#upload());
  }

  async #upload(): Promise<void> {
    await this.#recordings.upload();
    // Also while nothing fails: an object that crashes between two parts must be woken for the rest.
    if (this.#recordings.hasWaiting) {
      this.#alarm.ringWithin(this.#recordings.isFailing ? this.#recordings.retryInMs : HEARTBEAT_MS);
    }
  }
}

/** @throws where the person's object does not answer */
async function isLocked(namespace: SharedBindings["USER_SESSIONS"], user: string): Promise<boolean> {
  const stub = namespace.getByName(userObjectName(user, null));
  const lock = await withTimeout(callUserObject(stub, "currentLock", {}), LOCK_WITHIN_MS);
  if (!lock.ok) throw new Error(lock.error.code);
  return lock.value !== null;
}

/**
 * A directory runs older code for as long as somebody follows it. That knows what waits alone.
 *
 * @throws where it does not take the report
 */
async function reportAccess(
  namespace: SharedBindings["DIRECTORY"],
  report: DirectoryFields<"reportAccess">,
): Promise<void> {
  const told = await callDirectory(namespace, "reportAccess", report, versionOfAccessReport(report));
  if (told.ok) return;
  const { active, ...known } = report;
  if (active === undefined || told.error.code !== "contract_mismatch") throw new Error(told.error.code);
  await tellDirectory(namespace, "reportAccess", known);
}

/** @throws where the directory does not take the report */
async function tellDirectory<M extends DirectoryMethod>(
  namespace: SharedBindings["DIRECTORY"],
  method: M,
  report: DirectoryFields<M>,
): Promise<DirectoryValue<M>> {
  const told = await callDirectory(namespace, method, report);
  if (!told.ok) throw new Error(told.error.code);
  return told.value;
}

function stoppedAfter(checkpointAt: number): string {
  const lastSeen = new Date(checkpointAt).toISOString();
  return `the object that held the session stopped (crash, eviction or deploy) after ${lastSeen}`;
}
