import { buildUpstreamHeaders, type Impersonation } from "../kubernetes/upstream-headers.ts";
import type { Decision } from "./decide.ts";
import { refuse } from "./refusal.ts";

/**
 * The binding decides where a request goes; the host only becomes the Host header. `localhost` is what a
 * `kubectl proxy` beside the tunnel accepts without further flags.
 */
const UPSTREAM_ORIGIN = "http://localhost";

/** The same path and query, as they were classified, at the cluster. */
export function upstreamUrl(url: URL): string {
  return UPSTREAM_ORIGIN + url.pathname + url.search;
}

/**
 * Sends a request on and returns the answer untouched: neither body is read, so neither is buffered, and a client that
 * goes away takes the upstream request with it.
 */
export async function stream(
  cluster: Fetcher,
  request: Request,
  url: URL,
  decision: Extract<Decision, { action: "stream" }>,
): Promise<Response> {
  const headers = headersFor(request, decision.as, decision.upgrade);
  try {
    return await cluster.fetch(upstreamUrl(url), {
      method: request.method,
      headers,
      body: request.body,
      // A redirect is the client's to follow, as itself, through this same door.
      redirect: "manual",
      signal: request.signal,
    });
  } catch (error) {
    if (request.signal.aborted) throw error;
    console.error(`upstream: ${request.method} failed: ${error instanceof Error ? error.name : "unknown error"}`);
    const message = "the cluster cannot be reached: try again, and tell your administrator if it stays";
    return refuse({ code: "cluster_unreachable", message }, request.headers);
  }
}

export function headersFor(request: Request, as: Impersonation, upgrade: boolean): Headers {
  return buildUpstreamHeaders(request.headers, as, upgrade ? { upgrade: "websocket" } : {});
}
