import type { RequestTarget } from "../../kubernetes/path.ts";
import { buildUpstreamHeaders, type Impersonation } from "../../kubernetes/upstream-headers.ts";
import { isReadMethod } from "../methods.ts";
import type { Decision } from "../policy/decide.ts";
import { refuse } from "../refusal.ts";
import { buildUpstreamUrl } from "./url.ts";

/** @property failure why this is not the cluster's own answer, for the record */
export interface ClusterAnswer {
  readonly response: Response;
  readonly failure?: string;
}

/**
 * Sends a request on and returns the answer untouched: neither body is read, so neither is buffered, and a client that
 * goes away takes the upstream request with it.
 */
export async function forwardToCluster(
  cluster: Fetcher,
  request: Request,
  spelled: RequestTarget,
  decision: Extract<Decision, { action: "stream" }>,
): Promise<ClusterAnswer> {
  const headers = upstreamHeadersFor(request, decision.as, decision.upgrade);
  const { method } = request;
  const isBodiless = method === "GET" || method === "HEAD";
  // `fetch` takes none with these. Dropped, it would be another request for a workload that reads it.
  if (isBodiless && request.body && request.headers.get("Content-Length") !== "0") {
    const failure = `a ${method} with a body is not passed on`;
    return { response: refuse({ code: "bad_request", message: failure }, request.headers), failure };
  }
  try {
    const answer = cluster.fetch(buildUpstreamUrl(spelled), {
      method,
      headers,
      body: isBodiless ? null : request.body,
      // A redirect is the client's to follow, as itself, through this same door.
      redirect: "manual",
      signal: request.signal,
    });
    const response = await (isReadMethod(request.method)
      ? answer
      : Promise.race([answer, rejectWhenAborted(request.signal)]));
    return { response: decision.proxied ? sandboxResponse(response) : response };
  } catch (error) {
    // Nobody is left to read it: nginx's code for a client that closed the request.
    if (request.signal.aborted) {
      const failure = "the client went away before the cluster answered: what it asked for may have been done";
      return { response: new Response(null, { status: 499 }), failure };
    }
    console.error(`upstream: ${method} failed: ${error instanceof Error ? error.name : "unknown error"}`);
    const message = "the cluster cannot be reached: try again, and tell your administrator if it stays";
    return { response: refuse({ code: "cluster_unreachable", message }, request.headers), failure: message };
  }
}

/** Rejects when the client goes away: of a request that its client gave up, `fetch` may never say anything again. */
function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("the client went away")), { once: true });
  });
}

/**
 * A workload wrote this answer, and a browser would take it for a page of this origin: one with the person's sign-in, that
 * may open sessions and, for an administrator, end them. So it gets an origin of its own, and no say over this one.
 */
function sandboxResponse(response: Response): Response {
  const contained = new Response(response.body, response);
  contained.headers.set("Content-Security-Policy", "sandbox");
  contained.headers.set("X-Content-Type-Options", "nosniff");
  for (const name of ORIGIN_SCOPED_HEADERS) contained.headers.delete(name);
  return contained;
}

/**
 * What a browser keeps for a whole origin, or lets other origins do with it, sandboxed or not. NEL with Report-To would have
 * it tell somebody else of each of the person's requests here, with their paths.
 */
const ORIGIN_SCOPED_HEADERS = [
  "Set-Cookie",
  "Service-Worker-Allowed",
  "NEL",
  "Report-To",
  "Reporting-Endpoints",
  "Clear-Site-Data",
  "Strict-Transport-Security",
  "Alt-Svc",
  "Access-Control-Allow-Origin",
  "Access-Control-Allow-Credentials",
];

export function upstreamHeadersFor(request: Request, as: Impersonation, upgrade: boolean): Headers {
  return buildUpstreamHeaders(request.headers, as, upgrade ? { upgrade: "websocket" } : {});
}
