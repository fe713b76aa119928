import { clusterBinding } from "../durable/bindings.ts";
import { classify } from "../kubernetes/classify.ts";
import { spelledTarget } from "../kubernetes/path.ts";
import { forbiddenClientHeader, ImpersonationError } from "../kubernetes/upstream-headers.ts";
import { type Authenticate, authenticator } from "./authenticate.ts";
import { clusterOfHost, isPlainHost } from "./clusters.ts";
import type { Config } from "./config/schema.ts";
import { crossSite } from "./cross-site.ts";
import { type Decision, decide } from "./decide.ts";
import { type Detail, detailer } from "./details.ts";
import type { Bindings } from "./env.ts";
import { serveHealth } from "./health.ts";
import { identify } from "./identify.ts";
import { serveOwn } from "./own/router.ts";
import { refuse } from "./refusal.ts";
import { openSession } from "./session.ts";
import { stream } from "./upstream.ts";

/** What is ours and never Kubernetes': the API server has no path that begins so. */
const OWN_PREFIX = "/-/";

export type Handler = (request: Request, env: Bindings) => Promise<Response>;

/** What only tests bring themselves. */
export interface Doors {
  readonly authenticate?: Authenticate;
  readonly detail?: Detail;
}

/**
 * Makes the edge's request handler: authenticate → identify → classify → decide → stream or session.
 */
export function createHandler(config: Config, doors: Doors = {}): Handler {
  const authenticate = doors.authenticate ?? authenticator(config.access);
  const detail = doors.detail ?? detailer(config);

  async function handle(request: Request, env: Bindings): Promise<Response> {
    const { headers } = request;
    const url = URL.parse(request.url);
    if (!url || !isPlainHost(headers.get("Host") ?? url.host)) {
      return refuse({ code: "bad_request", message: "the Host header is not the name of a host" }, headers);
    }
    if (url.pathname === `${OWN_PREFIX}healthz`) return serveHealth(request);

    const authenticated = await authenticate(request);
    if (!authenticated.ok) return refuse(authenticated.refusal, headers);
    const { subject, token } = authenticated;
    const cluster = clusterOfHost(config.clusters, url.hostname);
    const isOwn = url.pathname.startsWith(OWN_PREFIX);
    if (!cluster && !isOwn) {
      return refuse({ code: "unknown_host", message: "no cluster answers to this host name here" }, headers);
    }
    const detailed = await detail(subject, token);
    if (!detailed.ok) return refuse(detailed.refusal, headers);
    const identified = identify(subject, detailed.details, cluster?.identities ?? config.identities);
    if (!identified.ok) return refuse(identified.refusal, headers);
    const { identity } = identified;

    if (isOwn || !cluster) {
      return serveOwn({ request, url, subject, details: detailed.details, identity, cluster, config, env });
    }

    const forbidden = forbiddenClientHeader(headers);
    if (forbidden) return refuse({ code: "impersonation", message: forbidden.reason }, headers);

    // As the client spelled it: `new URL()` has resolved the dot segments that give an attempt away.
    const spelled = spelledTarget(request.url);
    const classified = classify(request.method, spelled, headers.get("Upgrade"));
    const decision = decide(identity, cluster, classified);
    if (decision.action === "refuse") return refuse(decision.refusal, headers);
    const foreign = isConsequential(decision, request.method) ? crossSite(headers, url) : undefined;
    if (foreign) return refuse(foreign, headers);
    return decision.action === "session"
      ? openSession(env.USER_SESSIONS, { request, spelled, subject, identity, cluster, decision }, config)
      : stream(clusterBinding(env, cluster.binding), request, spelled, decision);
  }

  return async (request, env) => {
    try {
      return await handle(request, env);
    } catch (error) {
      if (error instanceof ImpersonationError) {
        return refuse(
          { code: "no_identity", message: `${error.message}: ask your administrator to mend its rule` },
          request.headers,
        );
      }
      // The stack is for our log alone; the person gets words and the id to find it by.
      const ray = request.headers.get("CF-Ray") ?? "none";
      console.error(`internal error (ray ${ray}):`, error);
      return refuse(
        { code: "internal", message: `Sallyport failed on this request (ray ${ray}): try again` },
        request.headers,
      );
    }
  };
}

/**
 * A foreign page may cause a plain read: without CORS headers, which nobody here sends, it never sees the answer. What a
 * workload does on a GET is its own affair, so a proxied one counts as more than a read.
 */
function isConsequential(decision: Decision, method: string): boolean {
  return (
    decision.action === "session" ||
    (decision.action === "stream" && (decision.upgrade || decision.proxied)) ||
    !READS.has(method)
  );
}

const READS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
