import { describeError, logEvent } from "../common/log.ts";
import { RateLimiter } from "../common/rate-limiter.ts";
import { err, ok, type Result } from "../common/result.ts";
import { findClusterBinding, type SharedBindings } from "../contract/bindings.ts";
import { type Denial, denial } from "../contract/denial.ts";
import { REFUSED_ATTEMPTS_LIMIT } from "../contract/limits.ts";
import type { SessionPlan } from "../contract/session-plan.ts";
import { type Admission, START_NOT_AUDITED } from "./admission.ts";
import type { AuditLog } from "./audit-log.ts";
import { dial, type Upstream } from "./dial.ts";
import { stalledLimit } from "./limits.ts";
import { LiveSession, startEvent } from "./live-session.ts";
import type { LiveSessions } from "./live-sessions.ts";
import { outcomeOf, outcomeOfHangUp, outcomeOfLimit } from "./outcome.ts";
import type { Framing } from "./protocols/framing.ts";
import { KINDS_OF_SESSIONS } from "./protocols/kinds.ts";
import type { LiveRecording, OnMustEnd } from "./recording/live-recording.ts";
import type { Recordings } from "./recording/recordings.ts";
import { type Refusal, refusalOf } from "./refusal.ts";
import { Relay } from "./relay.ts";

/** An attempt as it came from the edge: its URL and headers are what goes upstream. */
export interface SessionAttempt {
  readonly plan: SessionPlan;
  readonly url: string;
  readonly headers: Headers;
  /** Aborted when the client goes away before it has an answer. */
  readonly signal: AbortSignal;
}

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

/** Opens admitted sessions: audit log first, then the cluster, then the relay. */
export class SessionOpener {
  readonly #state: DurableObjectState;
  readonly #env: SharedBindings;
  readonly #audit: AuditLog;
  readonly #recordings: Recordings;
  readonly #sessions: LiveSessions;
  /** Each attempt is in the audit log before the cluster hears of it, so too many are not even started. */
  readonly #clusterRefusals = new RateLimiter(REFUSED_ATTEMPTS_LIMIT);

  constructor(
    state: DurableObjectState,
    env: SharedBindings,
    audit: AuditLog,
    recordings: Recordings,
    sessions: LiveSessions,
  ) {
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
    const session = new LiveSession(plan, Date.now(), accessReason);
    // Before the session counts: if this throws, nothing would ever release its place.
    this.#audit.append(session.id, { type: "start", data: startEvent(plan, accessReason) });
    this.#sessions.add(session);
    // A client that leaves now has no socket to tell of it: the session would stay until its idle limit.
    const abandon = () => this.#abandon(session);
    if (signal.aborted) abandon();
    signal.addEventListener("abort", abandon);
    try {
      return await this.#connect(session, attempt);
    } catch (error) {
      session.upstream.abort();
      this.#sessions.finish(session, outcomeOf("failed", "Sallyport failed while it opened the session"));
      throw error;
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  async #connect(session: LiveSession, { plan, url, headers }: SessionAttempt): Promise<Result<Response, Refusal>> {
    await this.#ensureAudited(session);
    if (session.denial) return err(refusalOf(session.denial));

    const cluster = findClusterBinding(this.#env, plan.binding);
    if (!cluster) {
      logEvent("error", "contract_mismatch", { method: "fetch", detail: `no binding ${plan.binding}` });
      return this.#refuse(session, CLUSTER_NOT_BOUND);
    }
    const dialled = await dial(cluster, { sessionId: session.id, url, headers, signal: session.upstream.signal });
    // It may have ended meanwhile. That is why, whatever the cluster answered.
    if (session.denial) return err(refusalOf(session.denial));
    if (!dialled.ok) {
      this.#clusterRefusals.tryAcquire(Date.now());
      this.#sessions.finish(session, outcomeOf("refused", dialled.error.message));
      return dialled;
    }

    const framing = KINDS_OF_SESSIONS[plan.target.sessionKind].framing(dialled.value.subprotocol);
    const recording = this.#startRecording(session, framing);
    if (!recording.ok && plan.recording.onFailure === "end") return this.#refuse(session, NOT_RECORDABLE);
    return ok(this.#join(session, dialled.value, framing, recording.ok ? recording.value : undefined));
  }

  /**
   * Makes the session's start durable before the cluster hears of it. With `fail-closed` D1 must have it too,
   * or the session is refused.
   */
  async #ensureAudited(session: LiveSession): Promise<void> {
    await this.#state.storage.sync();
    if (session.plan.audit.onOutage === "buffer") return;
    await this.#audit.deliver();
    if (!session.denial && this.#audit.journal.isQueued(session.id)) this.#refuse(session, START_NOT_AUDITED);
  }

  #refuse(session: LiveSession, { code, message }: Denial): Result<never, Refusal> {
    session.end(message, code);
    this.#sessions.finish(session, outcomeOf("refused", message));
    return err(refusalOf({ code, message }));
  }

  #abandon(session: LiveSession): void {
    session.end("the client went away");
    this.#sessions.finish(session, outcomeOf("disconnected", null));
  }

  /** Starts the recording if the plan asks for one. */
  #startRecording(session: LiveSession, framing: Framing): Result<LiveRecording | undefined, unknown> {
    const { target, recording: policy, user, cluster } = session.plan;
    const createTap = KINDS_OF_SESSIONS[target.sessionKind].recorder?.(framing);
    if (policy.mode === "off" || !createTap) return ok(undefined);
    const { sessionKind: kind, namespace, pod, container, command, tty } = target;
    const metadata = { sessionId: session.id, user, cluster, kind, namespace, pod, container, command, tty };
    const onMustEnd: OnMustEnd = (outcome, message) => {
      session.end(message);
      this.#sessions.finish(session, outcomeOfLimit(outcome, message, session.finalStatus));
    };
    try {
      return ok(this.#recordings.begin({ metadata, policy, createTap, onMustEnd }, Date.now()));
    } catch (error) {
      logEvent("error", "recording_not_started", { session: session.id, error: describeError(error) });
      return err(error);
    }
  }

  #join(
    session: LiveSession,
    { socket, subprotocol }: Upstream,
    framing: Framing,
    recording: LiveRecording | undefined,
  ): Response {
    const { 0: outside, 1: client } = new WebSocketPair();
    const { target } = session.plan;
    const relay = new Relay({
      client,
      upstream: socket,
      framing,
      observer: KINDS_OF_SESSIONS[target.sessionKind].createObserver({
        framing,
        terminal: target.tty,
        ports: target.ports,
        onNewPort: (port) => this.#audit.append(session.id, { type: "forward", data: { port } }),
        portForward: session.plan.portForward,
      }),
      recording,
      pauseInput: (until) => void this.#state.blockConcurrencyWhile(until),
      startedAt: session.startedAt,
      onHangUp: (hangUp) => this.#sessions.finish(session, outcomeOfHangUp(relay.observer.finalStatus(), hangUp)),
      onViolation: (violation) => {
        const message = `session ended: ${violation}`;
        session.end(message);
        this.#sessions.finish(session, outcomeOf("failed", message));
      },
      onOverflow: (reader) => this.#sessions.endByLimit(session, stalledLimit(reader)),
    });
    session.relay = relay;
    this.#audit.append(session.id, { type: "connect", data: { protocol: subprotocol } });
    relay.join();
    const headers = new Headers({ "Sallyport-Session": session.id });
    // What the upstream chose, never the first one offered: clients parse the stream by it.
    if (subprotocol) headers.set("Sec-WebSocket-Protocol", subprotocol);
    return new Response(null, { status: 101, webSocket: outside, headers });
  }
}
