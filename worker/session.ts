import type { AuditPolicy, SessionLimits } from "../durable/limits.ts";
import { attachPlan, type SessionPlan } from "../durable/plan.ts";
import type { RecordingPolicy } from "../durable/recording/policy.ts";
import { makeSessionId } from "../durable/session-id.ts";
import { type Decision, SESSION_EXTRA } from "./decide.ts";
import type { Bindings } from "./env.ts";
import type { Identity } from "./identify.ts";
import { headersFor, upstreamUrl } from "./upstream.ts";

/** The client writes these into the record: they must not fill it. */
const MAX_USER_AGENT_CHARS = 512;
const MAX_ATTEMPT_CHARS = 128;

export interface SessionSetting {
  readonly cluster: string;
  readonly limits: SessionLimits;
  readonly audit: AuditPolicy;
  readonly recording: RecordingPolicy;
}

/** Hands a session attempt to its user's object, with the upstream request all built but for the sending. */
export async function openSession(
  namespace: Bindings["USER_SESSIONS"],
  request: Request,
  url: URL,
  identity: Identity,
  decision: Extract<Decision, { action: "session" }>,
  { cluster, limits, audit, recording }: SessionSetting,
): Promise<Response> {
  const objectId = namespace.idFromName(identity.email);
  const sessionId = makeSessionId(objectId.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const as = { ...decision.as, extra: { ...decision.as.extra, [SESSION_EXTRA]: [sessionId] } };
  const headers = headersFor(request, as, true);
  attachPlan(headers, {
    sessionId,
    user: identity.email,
    kubernetesUser: as.user,
    kubernetesGroups: as.groups,
    cluster,
    target: decision.target,
    transport: decision.transport,
    limits: { ...limits, ...identity.limits },
    audit,
    recording: { ...recording, ...identity.recording },
    client: clientOf(request),
  });
  // GET whatever the client's method was: a second half by SPDY is answered, never sent upstream. The `upgrade` header
  // of a WebSocket is set; a SPDY request must not look like one.
  if (decision.transport === "spdy") headers.delete("upgrade");
  return namespace.get(objectId).fetch(upstreamUrl(url), { headers, signal: request.signal });
}

/** From where, as far as it is known. The address and the country are Cloudflare's word, the rest the client's. */
function clientOf(request: Request): SessionPlan["client"] {
  const country = request.cf?.["country"];
  return {
    address: request.headers.get("CF-Connecting-IP"),
    country: typeof country === "string" ? country : null,
    userAgent: request.headers.get("User-Agent")?.slice(0, MAX_USER_AGENT_CHARS) ?? null,
    attempt: request.headers.get("Kubectl-Session")?.slice(0, MAX_ATTEMPT_CHARS) ?? null,
  };
}
