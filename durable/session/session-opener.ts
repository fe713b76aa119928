import { CloseCode } from "../../common/close-codes.ts";
import { headerList } from "../../common/header-list.ts";
import { describeError, logEvent } from "../../common/log.ts";
import { RateLimiter } from "../../common/rate-limiter.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { STORAGE_TIMEOUTS_MS } from "../../common/storage-timeouts.ts";
import { findClusterBinding, findTcpBinding, type SharedBindings } from "../../contract/bindings.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { tryLoadGivenAccess } from "../../contract/given-access.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../../contract/limits.ts";
import type { SessionApproval, SessionPlan } from "../../contract/session-plan.ts";
import type { Status } from "../../kubernetes/status.ts";
import type { AuditLog } from "../audit-log.ts";
import { KINDS_OF_SESSIONS } from "../protocols/kinds.ts";
import type { CastMetadata } from "../recording/cast-lines.ts";
import type { LiveRecording, OnMustEnd } from "../recording/live-recording.ts";
import type { Recordings } from "../recording/recordings.ts";
import type { CreateTap } from "../recording/tap.ts";
import { type Refusal, refusalOf } from "../refusal.ts";
import type { Clock } from "../relay/brake.ts";
import { maxMessageBytesOf } from "../relay/client-writer.ts";
import { Relay } from "../relay/relay.ts";
import type { HeldBytes } from "../relay/step-queue.ts";
import type { AccessRequests } from "../storage/access-requests.ts";
import { StdinBuffer } from "../storage/stdin-buffer.ts";
import { dial, type Route } from "../upstream/dial.ts";
import { HeldLeg } from "../upstream/held-leg.ts";
import type { UpstreamLeg } from "../upstream/leg.ts";
import { LiveCast } from "../watch/live-cast.ts";
import { WatchFeed, type WatchFeedParts } from "../watch/watch-feed.ts";
import { type Admission, refuseWithoutPlace, START_NOT_AUDITED } from "./admission.ts";
import { approvedLine, type WaitVerdict } from "./approval.ts";
import { ApprovalWait } from "./approval-wait.ts";
import type { CloseCause } from "./close-cause.ts";
import { HELD_OUTPUT_LIMIT, type ReachedLimit } from "./limits.ts";
import { LiveSession, startEvent } from "./live-session.ts";
import type { LiveSessions } from "./live-sessions.ts";
import { Moderation } from "./moderation.ts";

const SUBPROTOCOL_HEADER = "Sec-WebSocket-Protocol";

const CLOCK: Clock = { now: () => Date.now(), sleep: (ms) => scheduler.wait(ms) };

/** An attempt as it came from the edge: its URL and headers are what goes upstream. */
export interface SessionAttempt {
  readonly plan: SessionPlan;
  readonly url: string;
  readonly headers: Headers;
  /** Aborted when the client goes away before it has an answer. */
  readonly signal: AbortSignal;
}

/** A session that is held: until it may begin, and later while nobody watches it although somebody must. */
interface HeldSession {
  readonly session: LiveSession;
  readonly relay: Relay;
  readonly leg: HeldLeg;
  readonly attempt: SessionAttempt;
  /** What its person reads once it goes on: from then on nothing that they type is dropped. */
  line?: string | undefined;
}

type Approved = Extract<WaitVerdict, { kind: "approved" }>;

const PROTOCOL_UNKNOWN: Denial = denial(
  "protocol_unknown",
  "this waits before it begins, and the client offers no protocol that is known here: use kubectl 1.31 or later",
);

const NOT_HOLDABLE: Denial = denial(
  "watch_unavailable",
  "this must be watched, and a WebSocket to a workload cannot be: contact your administrator",
);

/** Whoever presses Ctrl-C at a session that waits leaves it. */
const LEFT: CloseCause = { kind: "client", code: CloseCode.normal, reason: "" };
const INTERRUPTED = refusalOf(denial("session_ended", "interrupted before the cluster had answered"));

const NOT_RECORDABLE: Denial = denial(
  "recording_unavailable",
  "the session cannot be recorded, and its rule requires a recording: try again; " +
    "if this persists, contact your administrator",
);

/** An object with live sessions keeps its bindings after a deploy, and lacks those of a new cluster. */
const CLUSTER_NOT_BOUND: Denial = denial(
  "contract_mismatch",
  "this cluster was added while you had sessions open: end them and try again in a minute; " +
    "if this persists, contact your administrator",
);

function castMetadataOf({ sessionId, user, cluster, target }: SessionPlan): CastMetadata {
  const { sessionKind: kind, namespace, pod, container, command } = target;
  const tty = target.tty || KINDS_OF_SESSIONS[kind].isTerminal === true;
  return { sessionId, user, cluster, kind, namespace, pod, container, command, tty };
}

/** What watchers of all sessions of the object share. */
type WatchedBeside = Pick<WatchFeedParts, "budget" | "isBusy">;

/** Opens admitted sessions: audit log first, then the cluster, then the relay. */
export class SessionOpener {
  readonly #state: DurableObjectState;
  readonly #env: SharedBindings;
  readonly #audit: AuditLog;
  readonly #recordings: Recordings;
  readonly #sessions: LiveSessions;
  readonly #access: AccessRequests;
  /** Its person left while it waited to begin. */
  readonly #onGivenUp: (session: LiveSession) => void;
  readonly #watching: WatchedBeside;
  readonly #heldInput: HeldBytes = { bytes: 0 };
  readonly #storedInput: HeldBytes = { bytes: 0 };
  /** Each attempt is in the audit log before the cluster hears of it, so too many are not even started. */
  readonly #clusterRefusals = new RateLimiter(REFUSED_ATTEMPTS_LIMIT);

  constructor(
    state: DurableObjectState,
    env: SharedBindings,
    audit: AuditLog,
    recordings: Recordings,
    sessions: LiveSessions,
    access: AccessRequests,
    { onGivenUp, watching }: { readonly onGivenUp: (session: LiveSession) => void; readonly watching: WatchedBeside },
  ) {
    this.#access = access;
    this.#onGivenUp = onGivenUp;
    this.#watching = watching;
    this.#state = state;
    this.#env = env;
    this.#audit = audit;
    this.#recordings = recordings;
    this.#sessions = sessions;
  }

  hasTooManyRefusals(now: number): boolean {
    return this.#clusterRefusals.isExhausted(now);
  }

  /**
   * Opens a session, or refuses it. The audit log has its end in either case.
   *
   * @returns the 101 with the client's socket
   */
  async open(attempt: SessionAttempt, { accessReason }: Admission): Promise<Result<Response, Refusal>> {
    const { plan, signal } = attempt;
    const session = new LiveSession(plan, Date.now(), accessReason, (closed, closure) => {
      this.#sessions.release(closed, closure);
      if (closed.givenUp) this.#onGivenUp(closed);
    });
    // Before the session counts: if this throws, nothing would ever release its place.
    this.#audit.append(session.id, { type: "start", data: startEvent(plan, accessReason) });
    this.#sessions.add(session);
    // A client that leaves now has no socket to tell of it: the session would stay until its idle limit.
    const abandon = () => session.close({ kind: "client", code: CloseCode.abnormal, reason: "" });
    if (signal.aborted) abandon();
    signal.addEventListener("abort", abandon);
    try {
      const waits = plan.approval !== null || plan.moderation !== null;
      const opened = await (waits ? this.#hold(session, attempt) : this.#dial(session, attempt));
      if (opened.ok) return opened;
      session.close({ kind: "refusal", refusal: opened.error });
      // It may have ended before, and that is why.
      return err(session.refusal ?? opened.error);
    } catch (error) {
      session.close({ kind: "internal" });
      throw error;
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  /** Asks the cluster, and joins it with the client. */
  async #dial(session: LiveSession, attempt: SessionAttempt): Promise<Result<Response, Refusal>> {
    const leg = await this.#connect(session, attempt);
    if (!leg.ok) return leg;
    return this.#join(session, leg.value, (relay) => {
      this.#opened(session, relay, leg.value);
      relay.start();
    });
  }

  async #connect(session: LiveSession, { plan, url, headers }: SessionAttempt): Promise<Result<UpstreamLeg, Refusal>> {
    const audited = await this.#ensureAudited(session);
    if (!audited.ok) return audited;
    const route = this.#routeTo(plan);
    if (!route.ok) return err(refusalOf(route.error));
    const dialled = await dial(route.value, {
      sessionId: session.id,
      url,
      headers,
      impersonation: plan.impersonation,
      signal: session.dial(),
    });
    // It may have ended meanwhile. That is why, whatever the cluster answered.
    if (session.refusal) {
      if (dialled.ok) dialled.value.abort();
      return err(session.refusal);
    }
    if (!dialled.ok) this.#clusterRefusals.tryAcquire(Date.now());
    return dialled;
  }

  /**
   * Lets the session wait for its approval, and then for somebody who watches it. Its client is answered now,
   * and the cluster asked later.
   */
  async #hold(session: LiveSession, attempt: SessionAttempt): Promise<Result<Response, Refusal>> {
    const { target } = session.plan;
    const { holding } = KINDS_OF_SESSIONS[target.sessionKind];
    if (!holding) return err(refusalOf(NOT_HOLDABLE));
    const audited = await this.#ensureAudited(session);
    if (!audited.ok) return audited;
    const subprotocol = holding.subprotocol(headerList(attempt.headers.get(SUBPROTOCOL_HEADER)));
    if (subprotocol === undefined) return err(refusalOf(PROTOCOL_UNKNOWN));
    const leg = new HeldLeg({
      ...{ subprotocol, input: holding.input(subprotocol, target.tty) },
      onInterrupt: () => this.#interrupt(session),
      onOverflow: () => session.close({ kind: "limit", limit: HELD_OUTPUT_LIMIT }),
    });
    return this.#join(session, leg, (relay) => this.#wait({ session, relay, leg, attempt }));
  }

  /** Ctrl-C at a terminal that is held: to leave is all that is left to its person. */
  #interrupt(session: LiveSession): void {
    if (session.wait) session.close(LEFT);
    else if (!session.moderation?.isFrozen) session.close({ kind: "refusal", refusal: INTERRUPTED });
    else if (session.moderation.isLeftBy(Date.now())) session.close(session.moderation.givenUp);
  }

  #wait(held: HeldSession): void {
    const { session, relay } = held;
    const { approval } = session.plan;
    const moderation = this.#moderate(held);
    session.moderation = moderation;
    const goOn = (hasWaited: boolean, approvedBy?: Approved) => {
      if (approval && approvedBy) this.#approved(session, approval, approvedBy);
      const line = approval && approvedBy && hasWaited ? approvedLine(approval, approvedBy.by) : undefined;
      if (!moderation) {
        held.line = line;
        void this.#begin(held);
        return;
      }
      session.hold(relay, moderation);
      moderation.start(Date.now(), line);
      this.#sessions.waitChanged();
    };
    const wait = approval ? this.#waitForApproval(held, approval, goOn) : undefined;
    const first = wait ?? moderation;
    if (first) session.hold(relay, first);
    relay.start();
    if (wait) wait.check(Date.now());
    else goOn(false);
  }

  #waitForApproval(
    { session, relay }: HeldSession,
    approval: SessionApproval,
    onApproved: (hasWaited: boolean, approved: Approved) => void,
  ): ApprovalWait {
    const wait: ApprovalWait = new ApprovalWait({
      ...{ approval, startedAt: session.startedAt },
      say: (line) => relay.notify({ line, isBeforeCommand: true }),
      request: () => this.#access.find(approval.accessId),
      onApproved: (approved) => onApproved(wait.hasSpoken, approved),
      onRefused: (message) => session.close({ kind: "unapproved", message }),
    });
    return wait;
  }

  #approved(session: LiveSession, approval: SessionApproval, { by, until }: Approved): void {
    const { accessId: id, grant } = approval;
    session.approve({ id, grant, until });
    const data = { access_id: id, grant, by, waited_ms: Date.now() - session.startedAt };
    this.#audit.append(session.id, { type: "approval", data });
  }

  /** Follows who watches the session, where somebody must. */
  #moderate(held: HeldSession): Moderation | undefined {
    const { session, relay, leg } = held;
    const { id, plan } = session;
    if (!plan.moderation) return undefined;
    const { user, cluster, kind, namespace, pod } = startEvent(plan, undefined);
    return new Moderation({
      ...{ waitMs: plan.moderation.waitMs, sessionId: id },
      say: (line) => relay.notify({ line, isBeforeCommand: session.wait !== undefined }),
      onFreeze: (left, until) => {
        leg.freeze();
        const data = { user, session: id, cluster, kind, namespace, pod, left, until };
        this.#audit.appendUserEvent({ type: "freeze", data });
        this.#sessions.waitChanged();
      },
      onThaw: (by, waited_ms, line) => {
        this.#audit.appendUserEvent({ type: "thaw", data: { user, session: id, by, waited_ms } });
        held.line = line;
        if (leg.isJoined) this.#sayLine(held, false);
        leg.thaw();
        if (session.wait) void this.#begin(held);
        this.#sessions.waitChanged();
      },
      onUnwatched: (message) => session.close({ kind: "unwatched", message }),
    });
  }

  #sayLine({ relay, line }: HeldSession, isBeforeCommand: boolean): void {
    if (line !== undefined) relay.notify({ line, isBeforeCommand });
  }

  /** The session waits no longer: asks the cluster, and joins it with its client. Never rejects. */
  async #begin(held: HeldSession): Promise<void> {
    const { session, relay, leg: heldLeg, attempt } = held;
    try {
      session.begin(Date.now());
      const noPlace = refuseWithoutPlace(session.plan, this.#sessions.running - 1);
      if (noPlace) {
        session.close({ kind: "refusal", refusal: refusalOf(noPlace) });
        return;
      }
      await this.#endIfNotGiven(session);
      const { subprotocol } = heldLeg;
      const leg = await this.#connect(session, { ...attempt, headers: offerOnly(attempt.headers, subprotocol) });
      if (!leg.ok) {
        session.close({ kind: "refusal", refusal: leg.error });
        return;
      }
      if (leg.value.subprotocol !== subprotocol) {
        leg.value.abort();
        session.close({ kind: "limit", limit: otherProtocol(subprotocol, leg.value.subprotocol) });
        return;
      }
      this.#opened(session, relay, leg.value);
      // Whoever watched may have left meanwhile.
      if (!session.isFrozen) this.#sayLine(held, true);
      heldLeg.join(leg.value);
    } catch (error) {
      this.#fail(session, error);
    }
  }

  /**
   * Ends the session where a grant that it has or waited for gives less by now. The object looks every half a
   * minute, and until then a command would run that was approved just now.
   */
  async #endIfNotGiven({ openedWith }: LiveSession): Promise<void> {
    if (openedWith.grants.length === 0) return;
    const given = await tryLoadGivenAccess(this.#env.RECORDINGS, STORAGE_TIMEOUTS_MS.r2StateAwaited);
    if (given) this.#sessions.endNotGiven(given);
  }

  /** The cluster has accepted. */
  #opened(session: LiveSession, relay: Relay, { subprotocol }: UpstreamLeg): void {
    session.open(relay);
    this.#audit.append(session.id, { type: "connect", data: { protocol: subprotocol } });
  }

  /**
   * Makes what the log has of the session durable before the cluster hears of it. With `fail-closed` D1 must
   * have it too, or the session is refused. It may have ended meanwhile.
   */
  async #ensureAudited(session: LiveSession): Promise<Result<void, Refusal>> {
    await this.#state.storage.sync();
    if (session.plan.audit.onOutage === "fail-closed") {
      await this.#audit.deliver();
      if (this.#audit.journal.isQueued(session.id)) return err(refusalOf(START_NOT_AUDITED));
    }
    return session.refusal ? err(session.refusal) : ok(undefined);
  }

  /** Over TCP where the deployment has a binding for it: only TCP has back-pressure. */
  #routeTo({ binding, upstream: { transport, tcpBinding, address } }: SessionPlan): Result<Route, Denial> {
    // Every binding of a service has the method `connect`; only those made for it lead anywhere.
    const isTcp = transport === "tcp" || (transport === "auto" && tcpBinding !== null);
    const connector = isTcp ? findTcpBinding(this.#env, tcpBinding ?? binding) : undefined;
    if (connector) return ok({ transport: "tcp", connector, address });
    const fetcher = transport === "tcp" ? undefined : findClusterBinding(this.#env, binding);
    if (fetcher) return ok({ transport: "websocket", fetcher });
    const missing = transport === "tcp" ? (tcpBinding ?? binding) : binding;
    logEvent("error", "contract_mismatch", { method: "fetch", detail: `no binding ${missing}` });
    return err(CLUSTER_NOT_BOUND);
  }

  /** Starts the recording if the plan asks for one. */
  #startRecording(
    session: LiveSession,
    metadata: CastMetadata,
    createTap: CreateTap | undefined,
  ): Result<LiveRecording | undefined, unknown> {
    const { recording: policy } = session.plan;
    if (policy.mode === "off" || !createTap) return ok(undefined);
    const onMustEnd: OnMustEnd = (outcome, message) => session.close({ kind: "recorder", outcome, message });
    try {
      return ok(this.#recordings.begin({ metadata, policy, createTap, onMustEnd }, Date.now()));
    } catch (error) {
      logEvent("error", "recording_not_started", { session: session.id, error: describeError(error) });
      return err(error);
    }
  }

  /** Answers the client, and joins it with a leg. @param begin starts the relay, once it is made */
  #join(session: LiveSession, leg: UpstreamLeg, begin: (relay: Relay) => void): Result<Response, Refusal> {
    const { plan } = session;
    const { target, limits, client } = plan;
    const kind = KINDS_OF_SESSIONS[target.sessionKind];
    const framing = kind.framing(leg.subprotocol);
    const metadata = castMetadataOf(plan);
    const createTap = kind.recorder?.(framing);
    const recording = this.#startRecording(session, metadata, createTap);
    if (!recording.ok && plan.recording.onFailure === "end") {
      leg.abort();
      const refusal = refusalOf(NOT_RECORDABLE);
      session.close({ kind: "refusal", refusal });
      return err(refusal);
    }
    const cast = new LiveCast({
      ...{ metadata, createTap, withInput: plan.recording.mode === "full" },
      readStored: (offset, length) => this.#recordings.readStored(session.id, offset, length),
      recording: recording.ok ? recording.value : undefined,
    });
    const { 0: outside, 1: inside } = new WebSocketPair();
    const relay = new Relay({
      client: inside,
      leg,
      framing,
      observer: kind.createObserver({
        framing,
        terminal: target.tty,
        stderr: target.stderr,
        ports: target.ports,
        onNewPort: (port) => this.#audit.append(session.id, { type: "forward", data: { port } }),
        // What cannot be read cannot be held.
        portForward: plan.moderation ? { onUnreadable: "end" } : plan.portForward,
      }),
      cast: createTap && cast,
      inputBuffer: new StdinBuffer(this.#state.storage.sql, session.id),
      maxBufferedStdinBytes: limits.maxBufferedStdinBytes,
      maxClientMessageBytes: maxMessageBytesOf(client.userAgent),
      heldInput: this.#heldInput,
      storedInput: this.#storedInput,
      pauseInput: (until) => void this.#state.blockConcurrencyWhile(until),
      clock: CLOCK,
      startedAt: session.startedAt,
      onFinalStatus: (status) => this.#saveFinalStatus(session, status),
      onInputNotStored: (error) =>
        logEvent("error", "input_not_stored", { session: session.id, error: describeError(error) }),
      onMustClose: (cause) => session.close(cause),
      onFailure: (error) => this.#fail(session, error),
    });
    const carried = () => ({ traffic: session.traffic, counts: session.counts });
    session.feed = new WatchFeed({ ...this.#watching, cast, now: CLOCK.now, carried });
    begin(relay);
    const headers = new Headers({ "Sallyport-Session": session.id });
    // What the upstream chose, never the first one offered: clients parse the stream by it.
    if (leg.subprotocol) headers.set(SUBPROTOCOL_HEADER, leg.subprotocol);
    return ok(new Response(null, { status: 101, webSocket: outside, headers }));
  }

  /** Without the line, nobody could tell a bug from a cluster that is gone. */
  #fail(session: LiveSession, error: unknown): void {
    const stack = error instanceof Error ? error.stack : undefined;
    logEvent("error", "session_failed", { session: session.id, error: describeError(error), stack });
    session.close({ kind: "internal" });
  }

  /** The client must hear of the Status in any case. */
  #saveFinalStatus(session: LiveSession, status: Status): void {
    try {
      this.#audit.journal.saveFinalStatus(session.id, Date.now(), session.counts, status);
      session.isFinalStatusSaved = true;
    } catch (error) {
      logEvent("error", "final_status_not_saved", { session: session.id, error: describeError(error) });
    }
  }
}

function offerOnly(headers: Headers, subprotocol: string): Headers {
  const only = new Headers(headers);
  if (subprotocol === "") only.delete(SUBPROTOCOL_HEADER);
  else only.set(SUBPROTOCOL_HEADER, subprotocol);
  return only;
}

function otherProtocol(offered: string, chosen: string): ReachedLimit {
  const message = `session ended: the cluster speaks ${chosen || "the oldest protocol"} only, and was offered ${offered || "that"} when it began; update the cluster or the client`;
  return { outcome: "protocol_error", message };
}
