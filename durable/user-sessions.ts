import { DurableObject } from "cloudflare:workers";
import { NO_COUNTS, type RecordingSummary, type SessionEventBody, type UserEventBody } from "../audit/events.ts";
import { liveRow, type SessionRow } from "../audit/rows.ts";
import { logEvent } from "../common/log.ts";
import { RateLimiter } from "../common/rate-limiter.ts";
import { ok } from "../common/result.ts";
import { clusterBinding, type SharedBindings } from "../contract/bindings.ts";
import { DENIALS } from "../contract/denial.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../contract/limits.ts";
import { makeSessionId } from "../contract/session-id.ts";
import { detachSessionPlan, type SessionPlan } from "../contract/session-plan.ts";
import { answerCall, type UserObjectAnswer } from "../contract/user-object.ts";
import type { ContractMismatch } from "../contract/version.ts";
import { type DialResult, dial, statusRefusal } from "./dial.ts";
import { CHECKPOINT_MS, CLOSE_GRACE_MS, HEARTBEAT_MS, TICK_MS } from "./intervals.ts";
import {
  checkQueueLength,
  checkSessionCount,
  checkUnreadBytes,
  findOverfullSession,
  findReachedLimit,
  type ReachedLimit,
  stalledLimit,
  TOO_MANY_REFUSALS_MESSAGE,
  UNRECORDED_MESSAGE,
} from "./limits.ts";
import { LiveSession, startEvent } from "./live-session.ts";
import { Outbox } from "./outbox.ts";
import {
  endEvent,
  outcomeOf,
  outcomeOfHangUp,
  outcomeOfLimit,
  outcomeOfTermination,
  type SessionOutcome,
} from "./outcome.ts";
import { createObserver } from "./protocols/choose.ts";
import { endLabel } from "./recording/cast-lines.ts";
import type { LiveRecording, OnMustEnd } from "./recording/live-recording.ts";
import { isRecordable } from "./recording/policy.ts";
import { Recordings } from "./recording/recordings.ts";
import { attemptKey, type RefusalResponse, RefusedAttempts } from "./refused-attempts.ts";
import { Relay } from "./relay.ts";
import { SessionStore } from "./store.ts";
import { lockedMessage, REASON_REQUIRED_MESSAGE, UserLocks } from "./user-locks.ts";

/** Sessions that move more than this within a tick keep the object's thread busy. */
const BUSY_BYTES = 4 * 1024 * 1024;

/**
 * One user's sessions: admits them, holds both their sockets, ends them, and keeps their record until D1 has it.
 *
 * What is live is in memory, and only there: after a crash nothing counts against the user's limit any more.
 */
export class UserSessions extends DurableObject<SharedBindings> {
  readonly #store: SessionStore;
  readonly #standing: UserLocks;
  readonly #outbox: Outbox;
  readonly #recordings: Recordings;
  readonly #refused = new RefusedAttempts();
  readonly #refusalRate = new RateLimiter(REFUSED_ATTEMPTS_LIMIT);
  /** The same for attempts that the cluster refuses: what it is asked is on record before, so too many are not asked. */
  readonly #clusterRefusals = new RateLimiter(REFUSED_ATTEMPTS_LIMIT);
  readonly #live = new Map<string, LiveSession>();
  /** Ended sessions whose clients have not read all they were sent: it is in memory until they do, or go away. */
  readonly #draining = new Set<Relay>();
  #ticker: ReturnType<typeof setInterval> | null = null;
  /** A burst is being relayed: what can wait does. */
  #isBusy = false;
  #alarmAt: number | undefined;

  constructor(ctx: DurableObjectState, env: SharedBindings) {
    super(ctx, env);
    this.#store = new SessionStore(ctx.storage.sql);
    this.#standing = new UserLocks(ctx.storage.sql);
    this.#outbox = new Outbox(this.#store, env.AUDIT_DB);
    this.#recordings = new Recordings(ctx.storage.sql, env.RECORDINGS, () => ctx.waitUntil(this.#upload()), {
      isBusy: () => this.#isBusy,
    });
    this.#closeInterrupted();
  }

  /** One session attempt from the edge. The request's URL and headers are what goes upstream, plus the plan. */
  override async fetch(request: Request): Promise<Response> {
    const detached = detachSessionPlan(request);
    if (!detached.ok) return refuseMismatch(detached.error);
    const { plan, headers } = detached.value;
    const attempt = attemptKey(request.url, plan.client.attempt);
    if (plan.transport === "spdy") return this.#answerSpdy(plan, attempt);

    const barred = this.#barred(plan);
    if (barred) return this.#refuse(plan, attempt, statusRefusal("Forbidden", barred), barred);
    const tooMany = checkSessionCount(plan.user, this.#live.size, plan.limits);
    if (tooMany) return this.#refuse(plan, attempt, statusRefusal("TooManyRequests", tooMany), tooMany);
    const unread = checkUnreadBytes(this.#unreadBytes());
    if (unread) return this.#refuse(plan, attempt, statusRefusal("TooManyRequests", unread), unread);
    const unrecordable = checkQueueLength(this.#store.queueLength(), plan.audit);
    if (unrecordable)
      return this.#refuse(plan, attempt, statusRefusal("ServiceUnavailable", unrecordable), unrecordable);

    if (this.#clusterRefusals.isExhausted(Date.now())) {
      return this.#refuse(
        plan,
        attempt,
        statusRefusal("TooManyRequests", TOO_MANY_REFUSALS_MESSAGE),
        TOO_MANY_REFUSALS_MESSAGE,
      );
    }

    const session = new LiveSession(plan, Date.now(), this.#standing.reasonAt(Date.now()));
    // Before it takes a place: where this throws, nobody would ever give the place back.
    this.#append(session.id, { type: "start", data: startEvent(plan, session.reason) });
    this.#live.set(session.id, session);
    this.#startTicking();
    // A client that goes away now will have no socket to tell of it: the session would stay until its idle limit.
    const abandon = () => this.#abandon(session);
    if (request.signal.aborted) abandon();
    request.signal.addEventListener("abort", abandon);
    try {
      const dialled = (await this.#isRecorded(session))
        ? await dial(clusterBinding(this.env, plan.binding), request.url, headers, session.upstream.signal)
        : undefined;
      return this.#answer(session, attempt, dialled);
    } catch (error) {
      session.upstream.abort();
      this.#finish(session, outcomeOf("failed", "Sallyport failed while it opened the session"));
      throw error;
    } finally {
      request.signal.removeEventListener("abort", abandon);
    }
  }

  // What the edge may call; contract/user-object.ts describes each.

  list(argument: unknown): UserObjectAnswer<"list"> {
    return answerCall("list", argument, () => ok([...this.#live.values()].map(toRow)));
  }

  describe(argument: unknown): UserObjectAnswer<"describe"> {
    return answerCall("describe", argument, ({ sessionId }) => {
      const session = this.#live.get(sessionId);
      return ok(session ? toRow(session) : null);
    });
  }

  terminate(argument: unknown): UserObjectAnswer<"terminate"> {
    return answerCall("terminate", argument, ({ sessionId, by, reason }) => ok(this.#terminate(sessionId, by, reason)));
  }

  terminateAll(argument: unknown): UserObjectAnswer<"terminateAll"> {
    return answerCall("terminateAll", argument, ({ by, reason }) => ok(this.#terminateAll(by, reason)));
  }

  lock(argument: unknown): UserObjectAnswer<"lock"> {
    return answerCall("lock", argument, ({ lock, isAudited }) => {
      this.#standing.lock(lock);
      if (isAudited) this.#appendApart({ type: "lock", data: lock });
      return ok(this.#terminateAll(lock.by, lock.reason));
    });
  }

  unlock(argument: unknown): UserObjectAnswer<"unlock"> {
    return answerCall("unlock", argument, ({ user, by, reason, isAudited }) => {
      if (!this.#standing.lockAt(Date.now())) return ok(false);
      this.#standing.unlock();
      if (isAudited) this.#appendApart({ type: "unlock", data: { user, by, reason } });
      return ok(true);
    });
  }

  currentLock(argument: unknown): UserObjectAnswer<"currentLock"> {
    return answerCall("currentLock", argument, () => ok(this.#standing.lockAt(Date.now()) ?? null));
  }

  stateReason(argument: unknown): UserObjectAnswer<"stateReason"> {
    return answerCall("stateReason", argument, (stated) => {
      this.#standing.stateReason(stated);
      return ok(null);
    });
  }

  readRecording(argument: unknown): UserObjectAnswer<"readRecording"> {
    return answerCall("readRecording", argument, ({ sessionId, offset }) =>
      ok(this.#recordings.read(sessionId, offset, Date.now())),
    );
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = undefined;
    // Not waited for: R2 may take its time, and until this alarm is over none rings again, for D1 neither.
    this.ctx.waitUntil(this.#upload());
    await this.#deliver();
    if (this.#live.size > 0 || this.#store.queueLength() > 0 || this.#recordings.hasWaiting) {
      this.#alarmWithin(HEARTBEAT_MS);
    }
  }

  /** @returns whether the session was open */
  #terminate(sessionId: string, by: string, reason: string): boolean {
    const session = this.#live.get(sessionId);
    if (!session) return false;
    session.end(`session terminated by ${by}: ${reason}`);
    this.#finish(session, outcomeOfTermination(by, reason, session.finalStatus));
    return true;
  }

  /** @returns the ids of the ended sessions */
  #terminateAll(by: string, reason: string): string[] {
    return [...this.#live.keys()].filter((sessionId) => this.#terminate(sessionId, by, reason));
  }

  /** @returns why this user may not open this session now, in words, if so */
  #barred({ requireReason }: SessionPlan): string | undefined {
    const lock = this.#standing.lockAt(Date.now());
    if (lock) return lockedMessage(lock);
    return requireReason && this.#standing.reasonAt(Date.now()) === undefined ? REASON_REQUIRED_MESSAGE : undefined;
  }

  #answerSpdy(plan: SessionPlan, attempt: string): Response {
    const first = this.#refused.take(attempt, Date.now());
    if (first) return toResponse(first);
    const words =
      "the WebSocket attempt before this one failed, or there was none: try again. SPDY is not relayed here: use kubectl 1.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true " +
      "(for port-forward KUBECTL_PORT_FORWARD_WEBSOCKETS=true) with 1.29 and 1.30";
    this.#recordRefusal(plan, words);
    return toResponse(statusRefusal("BadRequest", words));
  }

  #refuse(plan: SessionPlan, attempt: string, refusal: RefusalResponse, words: string): Response {
    this.#refused.remember(attempt, refusal, Date.now());
    this.#recordRefusal(plan, words);
    return toResponse(refusal);
  }

  /** The record comes first: durable before the cluster hears of it, not merely before an answer leaves. */
  async #isRecorded(session: LiveSession): Promise<boolean> {
    await this.ctx.storage.sync();
    if (session.plan.audit.onOutage === "fail-closed") {
      await this.#deliver();
      if (!session.endedEarly && this.#store.isQueued(session.id)) {
        session.end(UNRECORDED_MESSAGE, "ServiceUnavailable");
        this.#finish(session, outcomeOf("refused", UNRECORDED_MESSAGE));
      }
    }
    return !session.endedEarly;
  }

  #answer(session: LiveSession, attempt: string, dialled: DialResult | undefined): Response {
    if (session.endedEarly || !dialled) {
      // Ended while the cluster was being asked; its end is recorded already.
      const refusal = session.endedEarly ?? statusRefusal("Forbidden", "the session was ended");
      session.upstream.abort();
      this.#refused.remember(attempt, refusal, Date.now());
      return toResponse(refusal);
    }
    if (!dialled.accepted) {
      this.#clusterRefusals.tryAcquire(Date.now());
      this.#refused.remember(attempt, dialled.refusal, Date.now());
      this.#finish(session, outcomeOf("refused", dialled.words));
      return toResponse(dialled.refusal);
    }
    const recording = this.#record(session, dialled.protocol);
    if (recording === "failed" && session.plan.recording.onFailure === "end") {
      const words = "the session cannot be recorded, and is not allowed without: try again";
      const refusal = statusRefusal("ServiceUnavailable", words);
      session.end(words);
      this.#refused.remember(attempt, refusal, Date.now());
      this.#finish(session, outcomeOf("refused", words));
      return toResponse(refusal);
    }
    return this.#open(session, dialled.socket, dialled.protocol, recording === "failed" ? undefined : recording);
  }

  /** Starts the recording, where the plan asks for one. */
  #record(session: LiveSession, subprotocol: string): LiveRecording | undefined | "failed" {
    const { target, recording: policy, user, cluster } = session.plan;
    if (policy.mode === "off" || !isRecordable(target.sessionKind)) return undefined;
    const { sessionKind: kind, namespace, pod, container = null, command, tty } = target;
    const facts = { sessionId: session.id, user, cluster, kind, namespace, pod, container, command, tty };
    const onMustEnd: OnMustEnd = (outcome, words) => {
      session.end(words);
      this.#finish(session, outcomeOfLimit(outcome, words, session.finalStatus));
    };
    try {
      return this.#recordings.begin({ facts, policy, subprotocol, onMustEnd }, Date.now());
    } catch (error) {
      console.error(`recording: session ${session.id} cannot be recorded: ${String(error)}`);
      return "failed";
    }
  }

  #abandon(session: LiveSession): void {
    session.end("the client went away");
    this.#finish(session, outcomeOf("disconnected", null));
  }

  #open(session: LiveSession, upstream: WebSocket, protocol: string, recording: LiveRecording | undefined): Response {
    const { 0: outside, 1: client } = new WebSocketPair();
    const { target } = session.plan;
    const relay = new Relay({
      client,
      upstream,
      observer: createObserver(target.sessionKind, protocol, target.tty, {
        ports: target.ports,
        onNewPort: (port) => this.#append(session.id, { type: "forward", data: { port } }),
      }),
      recording,
      pauseInput: (until) => void this.ctx.blockConcurrencyWhile(until),
      startedAt: session.startedAt,
      onHangUp: (hangUp) => this.#finish(session, outcomeOfHangUp(relay.observer.finalStatus(), hangUp)),
      onOverflow: (reader) => this.#endByLimit(session, stalledLimit(reader)),
    });
    session.relay = relay;
    this.#append(session.id, { type: "connect", data: { protocol } });
    relay.join();
    const headers = new Headers({ "Sallyport-Session": session.id });
    // What upstream chose, never the first one offered: clients read the stream by it.
    if (protocol) headers.set("Sec-WebSocket-Protocol", protocol);
    return new Response(null, { status: 101, webSocket: outside, headers });
  }

  /** Records a session's end, once, and frees its place. */
  #finish(session: LiveSession, how: SessionOutcome): void {
    if (!this.#live.delete(session.id)) return;
    if (session.relay && session.relay.unsentBytes > 0) this.#draining.add(session.relay);
    if (this.#live.size === 0) this.#stopTicking();
    const label = endLabel(how.outcome, how.exitCode, how.reason);
    const recording = this.#recordings.end(session.id, label, Date.now());
    this.#append(session.id, endEvent(how, session.counts, session.traffic, recording));
    setTimeout(() => session.upstream.abort(), CLOSE_GRACE_MS);
  }

  #endByLimit(session: LiveSession, { outcome, message }: ReachedLimit): void {
    session.end(message);
    this.#finish(session, outcomeOfLimit(outcome, message, session.finalStatus));
  }

  #recordRefusal(plan: SessionPlan, words: string): void {
    if (!this.#refusalRate.tryAcquire(Date.now())) {
      console.error("audit: too many refused attempts of one user within a minute; this one is not recorded");
      return;
    }
    // While D1 is away, refusals must not grow without bound what the bound on sessions has stopped.
    if (this.#store.queueLength() >= 2 * plan.audit.maxQueuedEvents) {
      console.error("audit: a refused attempt is not recorded, too many events wait for D1");
      return;
    }
    const reason = this.#standing.reasonAt(Date.now());
    this.#append(plan.sessionId, { type: "start", data: startEvent(plan, reason) });
    this.#append(plan.sessionId, endEvent(outcomeOf("refused", words), NO_COUNTS));
  }

  #append(sessionId: string, event: SessionEventBody): void {
    const hash = this.#store.append(sessionId, Date.now(), event);
    // A copy of the chain's newest link where whoever can write to D1 cannot reach it.
    if (event.type === "end") console.log(`audit: session ${sessionId} ended, hash ${hash}`);
    this.#alarmWithin(HEARTBEAT_MS);
    this.ctx.waitUntil(this.#deliver());
  }

  #appendApart(event: UserEventBody): void {
    const id = makeSessionId(this.ctx.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10)));
    this.#store.appendUserEvent(id, Date.now(), event);
    this.#alarmWithin(HEARTBEAT_MS);
    this.ctx.waitUntil(this.#deliver());
  }

  async #deliver(): Promise<void> {
    // Again while something waits: an event may have come just as the delivery before was ending.
    do await this.#outbox.deliver();
    while (!this.#outbox.isFailing && this.#store.queueLength() > 0);
    if (this.#outbox.isFailing) this.#alarmWithin(this.#outbox.retryInMs);
  }

  async #upload(): Promise<void> {
    await this.#recordings.upload();
    // Also while nothing fails: whoever crashes between two parts must be woken for the rest.
    if (this.#recordings.hasWaiting) {
      this.#alarmWithin(this.#recordings.isFailing ? this.#recordings.retryInMs : HEARTBEAT_MS);
    }
  }

  /** Sessions on disk that are not in memory were open when an earlier life of this object stopped. */
  #closeInterrupted(): void {
    const recordings: ReadonlyMap<string, RecordingSummary> = this.#recordings.endInterrupted();
    for (const { id, seen_at, bytes_in, bytes_out, messages_in, messages_out } of this.#store.openSessions()) {
      const seen = new Date(seen_at).toISOString();
      const how = outcomeOf(
        "interrupted",
        `the object that held the session stopped (crash, eviction or deploy) after ${seen}`,
      );
      this.#append(id, endEvent(how, { bytes_in, bytes_out, messages_in, messages_out }, {}, recordings.get(id)));
    }
  }

  /** What ended sessions have left in memory. Forgets those that have left nothing. */
  #unreadBytes(): number {
    let bytes = 0;
    for (const relay of this.#draining) {
      if (relay.unsentBytes === 0) this.#draining.delete(relay);
      bytes += relay.unsentBytes;
    }
    return bytes;
  }

  #startTicking(): void {
    this.#ticker ??= setInterval(() => this.#tick(Date.now()), TICK_MS);
  }

  #stopTicking(): void {
    clearInterval(this.#ticker);
    this.#ticker = null;
    this.#isBusy = false;
  }

  #tick(now: number): void {
    let moved = 0;
    for (const session of this.#live.values()) moved += session.takeMovedBytes();
    this.#isBusy = moved > BUSY_BYTES;
    // Also: a user who opens nothing more for hours would otherwise keep the last sessions' relays for as long.
    const fullest = findOverfullSession(this.#live.values(), this.#unreadBytes());
    if (fullest?.relay) this.#endByLimit(fullest, stalledLimit(fullest.relay.slowerReader));
    if (this.#recordings.isDue) this.ctx.waitUntil(this.#upload());
    for (const session of this.#live.values()) {
      const { limits } = session.plan;
      const stalledReader = session.relay?.stalledReader(limits.stallTimeoutSeconds * 1000);
      const limit = stalledReader ? stalledLimit(stalledReader) : findReachedLimit(session, limits, now);
      if (limit) {
        this.#endByLimit(session, limit);
      } else if (now - session.checkpointAt >= CHECKPOINT_MS) {
        session.checkpointAt = now;
        this.#store.checkpoint(session.id, now, session.counts);
      }
    }
  }

  /** Sees to it that the object is woken within `ms`. */
  #alarmWithin(ms: number): void {
    const at = Date.now() + ms;
    if (this.#alarmAt !== undefined && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }
}

function toRow(session: LiveSession): SessionRow {
  return liveRow(
    session.id,
    session.startedAt,
    startEvent(session.plan, session.reason),
    session.counts,
    session.traffic,
  );
}

function toResponse({ status, contentType, body }: RefusalResponse): Response {
  return new Response(body, { status, headers: { "Content-Type": contentType, "Cache-Control": "no-cache, private" } });
}

function refuseMismatch({ code, message, detail }: ContractMismatch): Response {
  logEvent("contract_mismatch", { method: "fetch", detail });
  return toResponse(statusRefusal(DENIALS[code], message));
}
