/**
 * Gives the answer of a workload an opaque origin, and no influence on ours.
 *
 * A browser would take the answer for a page of this origin, with the person's sign-in. That page could open
 * sessions and, for an administrator, end them. Browsers learn new headers that speak for a whole origin
 * every year (Set-Login, Secure-Session-Registration, Speculation-Rules), so headers pass by an allow-list.
 */
import type { RequestTarget } from "../../kubernetes/path.ts";
import { proxiedPath } from "../../kubernetes/proxied-path.ts";
import { parseRequestInfo } from "../../kubernetes/request-info.ts";
import { buildUpstreamUrl, UPSTREAM_HOST } from "./url.ts";

/** What speaks of one answer alone, to whoever asked for it. */
const OF_THE_ANSWER: ReadonlySet<string> = new Set([
  "accept-ranges",
  "age",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-range",
  "content-type",
  "date",
  "etag",
  "expires",
  "last-modified",
  "retry-after",
  "transfer-encoding",
  "vary",
  // Programs, not browsers: pages of a list, tracing, and what Elasticsearch's clients insist on.
  "x-elastic-product",
  "x-request-id",
  "x-total-count",
]);

/** … and what the API server, `kubectl proxy` and the tunnel add. client-go shows people each `Warning`. */
const OF_THE_API_SERVER: ReadonlySet<string> = new Set([
  ...OF_THE_ANSWER,
  "audit-id",
  "cf-cache-status",
  "cf-ray",
  "connection",
  "keep-alive",
  // Of a watch or a log over WebSocket.
  "sec-websocket-accept",
  "sec-websocket-protocol",
  "server",
  "upgrade",
  "via",
  "warning",
  "x-content-type-options",
  "x-kubernetes-pf-flowschema-uid",
  "x-kubernetes-pf-prioritylevel-uid",
  "x-varied-accept",
]);

/**
 * What Kubernetes answers with, none of which a browser runs. One type: of several, which `Headers` joins by
 * commas, a browser takes the last.
 */
const INERT_TYPE =
  /^(?:application\/(?:json|yaml|cbor|cbor-seq|vnd\.kubernetes\.protobuf|[\w.@-]+\+(?:json|yaml|cbor|protobuf))|text\/plain)\s*(?:;[^,]*)?$/i;

/**
 * Makes a cluster's answer safe for the origin that it is shown under.
 *
 * The API server's own answers pass as they are. An aggregated API server may answer with anything, as a
 * workload may: its answer is sandboxed as soon as it has another header or type than the API server's own
 * have.
 *
 * @param target of the request
 * @param isProxied whether a workload or a kubelet answers
 * @param ownUrl of the request as the client sent it
 */
export function sandboxResponse(
  response: Response,
  target: RequestTarget,
  isProxied: boolean,
  ownUrl: string,
): Response {
  if (!isProxied && isOfApiServer(response.headers)) return response;
  // It keeps its body as it is, an encoded one too.
  const sandboxed = new Response(response.body, response);
  const { headers } = sandboxed;
  const location = headers.get("Location");
  const kept = isProxied ? OF_THE_ANSWER : OF_THE_API_SERVER;
  for (const name of [...headers.keys()]) {
    if (!kept.has(name)) headers.delete(name);
  }
  const within = location === null ? undefined : locationWithin(location, target, isProxied, ownUrl);
  if (within !== undefined) headers.set("Location", within);
  headers.set("Content-Security-Policy", "sandbox");
  headers.set("X-Content-Type-Options", "nosniff");
  return sandboxed;
}

function isOfApiServer(headers: Headers): boolean {
  // An answer without a body has no type.
  if (!INERT_TYPE.test(headers.get("Content-Type") ?? "application/json")) return false;
  for (const name of headers.keys()) {
    if (!OF_THE_API_SERVER.has(name)) return false;
  }
  return true;
}

/**
 * Where a redirect leads, as a path of this origin.
 *
 * A workload's redirect elsewhere would send people from this trusted name to any site, or to another path of
 * this origin. The API server rewrites a workload's own redirects to the path of its proxy.
 *
 * @returns undefined for a redirect that leaves the proxied path, or this origin
 */
function locationWithin(
  location: string,
  target: RequestTarget,
  isProxied: boolean,
  ownUrl: string,
): string | undefined {
  const to = URL.parse(location, buildUpstreamUrl(target));
  if (!to || !/^https?:$/.test(to.protocol) || ![UPSTREAM_HOST, URL.parse(ownUrl)?.host].includes(to.host))
    return undefined;
  // As a path alone, `//evil.example` is a host.
  if (to.pathname.startsWith("//")) return undefined;
  const info = parseRequestInfo("GET", target);
  const within = isProxied ? info.ok && proxiedPath(target, info.value) : "/";
  if (!within || !`${to.pathname}/`.startsWith(within)) return undefined;
  return `${to.pathname}${to.search}${to.hash}`;
}
