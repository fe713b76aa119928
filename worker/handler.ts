import { clusterBinding } from "../contract/bindings.ts";
import { classify } from "../kubernetes/classify.ts";
import { rawRequestTarget } from "../kubernetes/path.ts";
import { forbiddenClientHeader, ImpersonationError } from "../kubernetes/upstream-headers.ts";
import { accessIdentityReader, type ReadAccessIdentity } from "./access/access-identity.ts";
import { type Authenticate, createAuthenticator } from "./access/authenticate.ts";
import { crossSiteDenial } from "./access/cross-site.ts";
import { serveApi } from "./api/router.ts";
import type { Config } from "./config/schema.ts";
import type { Bindings } from "./env.ts";
import { serveHealth } from "./health.ts";
import { jsonError } from "./json.ts";
import { isReadMethod } from "./methods.ts";
import { type Decision, decide } from "./policy/decide.ts";
import { identify } from "./policy/identify.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { RequestRecorder } from "./request-audit/request-recorder.ts";
import type { RequestTrace } from "./request-audit/request-trace.ts";
import { openSession } from "./sessions/open-session.ts";
import { findClusterByHost, isPlainHost } from "./upstream/cluster-by-host.ts";
import { forwardToCluster } from "./upstream/forward.ts";

/** What is ours and never Kubernetes': the API server has no path that begins so. */
const OWN_PREFIX = "/-/";

/** What the handler asks of the invocation: time for the record, after the answer. */
export type Context = Pick<ExecutionContext, "waitUntil">;

export type Handler = (request: Request, env: Bindings, context: Context) => Promise<Response>;

/** What only tests bring themselves. */
export interface Dependencies {
  readonly authenticate?: Authenticate;
  readonly detail?: ReadAccessIdentity;
}

/**
 * Makes the edge's request handler: authenticate → identify → classify → decide → stream or session.
 */
export function createHandler(config: Config, doors: Dependencies = {}): Handler {
  const authenticate = doors.authenticate ?? createAuthenticator(config.access);
  const detail = doors.detail ?? accessIdentityReader(config);

  const trail = new RequestRecorder(config.audit.requests);

  async function handle(request: Request, env: Bindings, facts: RequestTrace): Promise<Response> {
    const { headers } = request;
    const no = (refusal: Refusal) => {
      facts.refusal = refusal;
      return refuse(refusal, headers);
    };
    const url = URL.parse(request.url);
    if (!url || !isPlainHost(headers.get("Host") ?? url.host)) {
      return no({ code: "bad_request", message: "the Host header is not the name of a host" });
    }
    if (url.pathname === `${OWN_PREFIX}healthz`) return serveHealth(request, env.VERSION?.id);

    const authenticated = await authenticate(request);
    if (!authenticated.ok) return no(authenticated.refusal);
    const { subject, token } = authenticated;
    facts.user = subject.name;
    const cluster = findClusterByHost(config.clusters, url.hostname);
    if (cluster) facts.cluster = cluster.name;
    const isOwn = url.pathname.startsWith(OWN_PREFIX);
    if (isOwn) facts.destination = "sallyport";
    if (!cluster && !isOwn) return no({ code: "unknown_host", message: "no cluster answers to this host name here" });
    const detailed = await detail(subject, token);
    if (!detailed.ok) return no(detailed.refusal);
    const details = { ...detailed.details, country: request.cf?.["country"] };
    const identified = identify(subject, details, cluster?.identities ?? config.identities);
    if (!identified.ok) return no(identified.refusal);
    const { identity } = identified;
    facts.identity = identity;

    if (isOwn || !cluster) {
      const forbid = (message: string) => {
        facts.refusal = { code: "not_admin", message };
        return jsonError("forbidden", message);
      };
      return serveApi({ request, url, subject, details, identity, cluster, config, env, forbid });
    }

    const forbidden = forbiddenClientHeader(headers);
    if (forbidden) return no({ code: "impersonation", message: forbidden.reason });

    // As the client spelled it: `new URL()` has resolved the dot segments that give an attempt away.
    const spelled = rawRequestTarget(request.url);
    const classified = classify(request.method, spelled, headers.get("Upgrade"));
    if (classified.info) facts.info = classified.info;
    const decision = decide(identity, cluster, classified);
    facts.rule = decision.rule ?? undefined;
    if (decision.action === "refuse") return no(decision.refusal);
    const foreign = hasSideEffects(decision, request.method) ? crossSiteDenial(headers, url) : undefined;
    if (foreign) return no(foreign);
    if (decision.action === "session") {
      facts.destination = "session";
      return openSession(env.USER_SESSIONS, { request, spelled, subject, identity, cluster, decision }, config);
    }
    facts.destination = "cluster";
    const { response, failure } = await forwardToCluster(
      clusterBinding(env, cluster.binding),
      request,
      spelled,
      decision,
    );
    facts.failure = failure;
    return response;
  }

  async function answer(request: Request, env: Bindings, facts: RequestTrace): Promise<Response> {
    try {
      return await handle(request, env, facts);
    } catch (error) {
      const ray = request.headers.get("CF-Ray") ?? "none";
      facts.refusal = internalRefusal(error, ray);
      // The stack is for our log alone; the person gets words and the id to find it by.
      if (facts.refusal.code === "internal") console.error(`internal error (ray ${ray}):`, error);
      return refuse(facts.refusal, request.headers);
    }
  }

  return async (request, env, context) => {
    const facts: RequestTrace = { at: Date.now() };
    const note = (status: number) => trail.record(request, facts, status, env.AUDIT_DB, context);
    const answering = answer(request, env, facts);
    if (!isReadMethod(request.method)) return recordEvenIfAbandoned(answering, facts, note, context);
    const response = await answering;
    note(response.status);
    return response;
  };
}

/**
 * Whoever sends an order and hangs up ends this invocation, but not the cluster's work: it is noted all the same, and so is
 * one whose answer is long in coming. What is only read needs none of this: nobody has seen it.
 */
function recordEvenIfAbandoned(
  answering: Promise<Response>,
  facts: RequestTrace,
  note: (status: number) => void,
  context: Context,
): Promise<Response> {
  let isNoted = false;
  const late = setTimeout(() => {
    if (facts.destination !== "cluster") return;
    facts.failure = "the cluster had not answered yet when this was written";
    isNoted = true;
    note(0);
  }, RECORD_WITHIN_MS);
  const answered = answering.then((response) => {
    clearTimeout(late);
    if (!isNoted) note(response.status);
    return response;
  });
  context.waitUntil(answered);
  return answered;
}

/** After its client has gone, an invocation goes on for 30 s at most; some of them are for writing the row. */
const RECORD_WITHIN_MS = 15_000;

function internalRefusal(error: unknown, ray: string): Refusal {
  return error instanceof ImpersonationError
    ? { code: "no_identity", message: `${error.message}: ask your administrator to mend its rule` }
    : { code: "internal", message: `Sallyport failed on this request (ray ${ray}): try again` };
}

/**
 * A foreign page may cause a plain read: without CORS headers, which nobody here sends, it never sees the answer. What a
 * workload does on a GET is its own affair, so a proxied one counts as more than a read.
 */
function hasSideEffects(decision: Decision, method: string): boolean {
  return (
    decision.action === "session" ||
    (decision.action === "stream" && (decision.upgrade || decision.proxied)) ||
    !isReadMethod(method)
  );
}
