import type { Result } from "../../common/result.ts";
import type { DecidingPerson } from "../../contract/access.ts";
import { makeSessionId } from "../../contract/session-id.ts";
import { attachSessionPlan, type SessionApproval, type SessionPlan } from "../../contract/session-plan.ts";
import type { RequestTarget } from "../../kubernetes/path.ts";
import type { SignIn } from "../access/sign-in.ts";
import type { Subject } from "../access/subject.ts";
import { SESSION_EXTRA } from "../config/reserved-extras.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import type { Failure } from "../failure.ts";
import type { SessionDecision } from "../policy/decide.ts";
import type { Identity } from "../policy/identify.ts";
import { impersonationLinesFor, upstreamHeadersFor } from "../upstream/headers.ts";
import { buildUpstreamUrl } from "../upstream/url.ts";
import { sendAttempt, userObjectAddress } from "./user-objects.ts";

/** The client chooses these texts. The bounds keep it from filling the audit log. */
const MAX_USER_AGENT_CHARS = 512;
const MAX_ATTEMPT_CHARS = 128;
const MINUTE_MS = 60_000;

/** An allowed session attempt, and whose it is. */
export interface SessionAttempt {
  readonly request: Request;
  readonly target: RequestTarget;
  readonly subject: Subject;
  /** Names its person by all names. It takes a while, and most sessions do without. */
  readonly describePerson: () => DecidingPerson;
  readonly signIn: SignIn;
  readonly identity: Identity;
  readonly cluster: Cluster;
  readonly decision: SessionDecision;
  /** What it waits for; then `decision` is what holds once it is approved. */
  readonly approval: SessionApproval | null;
}

/** What the configuration says of sessions in general. */
type SessionPolicies = Pick<Config, "limits" | "audit" | "recording" | "portForward">;

/** Hands a session attempt to its user's object, with the plan and the request for the cluster. */
export async function openSession(
  namespace: Bindings["USER_SESSIONS"],
  attempt: SessionAttempt,
  config: SessionPolicies,
): Promise<Result<Response, Failure>> {
  const { request, target, identity, cluster, decision } = attempt;
  const address = userObjectAddress(namespace, identity.name, cluster.locationHint);
  const sessionId = makeSessionId(address.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const as = { ...decision.as, extra: { ...decision.as.extra, [SESSION_EXTRA]: [sessionId] } };
  // The object answers SPDY requests itself, so they must not look like a WebSocket's.
  const headers = upstreamHeadersFor(request.headers, as, decision.transport === "websocket");
  if (!headers.ok) return headers;
  const impersonation = impersonationLinesFor(as);
  if (!impersonation.ok) return impersonation;
  attachSessionPlan(headers.value, { ...planSession(sessionId, attempt, config), impersonation: impersonation.value });
  // GET, whatever the client's method was.
  const init = { headers: headers.value, signal: request.signal };
  return sendAttempt(namespace, address, buildUpstreamUrl(target), init);
}

function planSession(
  sessionId: string,
  { request, subject, describePerson, signIn, identity, cluster, decision, approval }: SessionAttempt,
  config: SessionPolicies,
): Omit<SessionPlan, "impersonation"> {
  const { endWithToken, ...limits } = { ...config.limits, ...decision.limits };
  const { onOutage, maxQueuedEvents, maxSessionBytesPerDay } = config.audit;
  return {
    sessionId,
    user: identity.name,
    kubernetesUser: decision.as.user,
    kubernetesGroups: decision.as.groups,
    ownIdentity: decision.isActing ? { user: identity.user, groups: identity.groups } : null,
    cluster: cluster.name,
    binding: cluster.binding,
    locationHint: cluster.locationHint,
    target: { ...decision.target, container: decision.target.container ?? null },
    transport: decision.transport,
    rule: decision.rule,
    requireReason: decision.requireReason,
    grants: decision.grants,
    approval,
    tellOfWatchers: decision.tell,
    moderation: moderationOf(decision, describePerson),
    limits,
    endsAt: endWithToken ? subject.expiresAt : null,
    audit: { onOutage, maxQueuedEvents, maxSessionBytesPerDay },
    recording: { ...config.recording, ...decision.recording },
    upstream: cluster.upstream,
    portForward: config.portForward,
    client: describeClient(request, signIn),
  };
}

function moderationOf(
  { watchWaitMinutes }: SessionDecision,
  describePerson: SessionAttempt["describePerson"],
): SessionPlan["moderation"] {
  return watchWaitMinutes === null ? null : { waitMs: watchWaitMinutes * MINUTE_MS, person: describePerson() };
}

/**
 * Where the request comes from. Address, country, sign-in and device are Cloudflare's statements, the rest
 * the client's.
 */
function describeClient(request: Request, { kind, deviceId }: SignIn): SessionPlan["client"] {
  const country = request.cf?.["country"];
  return {
    address: request.headers.get("CF-Connecting-IP"),
    country: typeof country === "string" ? country : null,
    userAgent: request.headers.get("User-Agent")?.slice(0, MAX_USER_AGENT_CHARS) ?? null,
    attempt: request.headers.get("Kubectl-Session")?.slice(0, MAX_ATTEMPT_CHARS) ?? null,
    signIn: kind,
    deviceId,
  };
}
