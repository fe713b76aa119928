import { makeSessionId } from "../../contract/session-id.ts";
import { attachSessionPlan, type SessionPlan } from "../../contract/session-plan.ts";
import type { RequestTarget } from "../../kubernetes/path.ts";
import type { Subject } from "../access/subject.ts";
import type { Cluster, Config } from "../config/schema.ts";
import type { Bindings } from "../env.ts";
import { type Decision, SESSION_EXTRA } from "../policy/decide.ts";
import type { Identity } from "../policy/identify.ts";
import { upstreamHeadersFor } from "../upstream/forward.ts";
import { buildUpstreamUrl } from "../upstream/url.ts";
import { userObjectAt } from "./user-objects.ts";

/** The client writes these into the record: they must not fill it. */
const MAX_USER_AGENT_CHARS = 512;
const MAX_ATTEMPT_CHARS = 128;

/** A session attempt that was let through, and whose it is. */
export interface SessionAttempt {
  readonly request: Request;
  readonly spelled: RequestTarget;
  readonly subject: Subject;
  readonly identity: Identity;
  readonly cluster: Cluster;
  readonly decision: Extract<Decision, { action: "session" }>;
}

/** Hands a session attempt to its user's object, with the upstream request all built but for the sending. */
export async function openSession(
  namespace: Bindings["USER_SESSIONS"],
  { request, spelled, subject, identity, cluster, decision }: SessionAttempt,
  config: Pick<Config, "limits" | "audit" | "recording">,
): Promise<Response> {
  const object = userObjectAt(namespace, identity.name, cluster.locationHint);
  const sessionId = makeSessionId(object.id.toString(), Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const as = { ...decision.as, extra: { ...decision.as.extra, [SESSION_EXTRA]: [sessionId] } };
  const headers = upstreamHeadersFor(request, as, true);
  const { target, transport, rule, requireReason } = decision;
  const { endWithToken, ...limits } = { ...config.limits, ...decision.limits };
  const { onOutage, maxQueuedEvents } = config.audit;
  attachSessionPlan(headers, {
    ...{ sessionId, user: identity.name, kubernetesUser: as.user, kubernetesGroups: as.groups },
    ...{
      cluster: cluster.name,
      binding: cluster.binding,
      locationHint: cluster.locationHint,
      target: { ...target, container: target.container ?? null },
      transport,
      rule,
      requireReason,
      limits,
    },
    endsAt: endWithToken ? subject.expiresAt : null,
    audit: { onOutage, maxQueuedEvents },
    recording: { ...config.recording, ...decision.recording },
    client: describeClient(request),
  });
  // GET whatever the client's method was: a second half by SPDY is answered, never sent upstream. The `upgrade` header
  // of a WebSocket is set; a SPDY request must not look like one.
  if (transport === "spdy") headers.delete("upgrade");
  return object.fetch(buildUpstreamUrl(spelled), { headers, signal: request.signal });
}

/** From where, as far as it is known. The address and the country are Cloudflare's word, the rest the client's. */
function describeClient(request: Request): SessionPlan["client"] {
  const country = request.cf?.["country"];
  return {
    address: request.headers.get("CF-Connecting-IP"),
    country: typeof country === "string" ? country : null,
    userAgent: request.headers.get("User-Agent")?.slice(0, MAX_USER_AGENT_CHARS) ?? null,
    attempt: request.headers.get("Kubectl-Session")?.slice(0, MAX_ATTEMPT_CHARS) ?? null,
  };
}
