/** Classifies requests by their method, URL and upgrade. */
import { findPathAmbiguity, type RequestTarget } from "./path.ts";
import { hasAmbiguousBoolean, parseQuery } from "./query.ts";
import { parseRequestInfo, type RequestInfo } from "./request-info.ts";
import {
  findSessionEndpoint,
  isWorkloadProxy,
  readSessionTarget,
  type SessionEndpoint,
  type SessionTarget,
  workloadProxyTarget,
} from "./session-target.ts";

export type { SessionKind, SessionTarget } from "./session-target.ts";

/** How the client sends the bytes of a session. */
export type SessionTransport = "websocket" | "spdy";

/** The kind of a request. A request that fits no other kind is refused. */
export type Classified =
  /** An API request over HTTP. */
  | { readonly kind: "rest"; readonly info: RequestInfo }
  /** A watch or a log over WebSocket. It only reads, so it is no session. */
  | { readonly kind: "stream"; readonly info: RequestInfo }
  | {
      readonly kind: "session";
      readonly info: RequestInfo;
      readonly session: SessionTarget;
      readonly transport: SessionTransport;
    }
  /** `reason` is for a person: lower case, no full stop, nothing of the request but names of API parts. */
  | {
      readonly kind: "refused";
      readonly info?: RequestInfo;
      readonly reason: string;
      readonly status: 400 | 403 | 405;
    };

/** requestinfo.go still parses `/api/v1/proxy/…` as the verb proxy. */
const LEGACY_PROXY_REASON =
  "the legacy /proxy/ prefix is not available; use the proxy subresource of the pod or service";

type Refused = Extract<Classified, { kind: "refused" }>;
type Upgrade = "none" | SessionTransport | "unknown";

/** The methods that Kubernetes serves, in the case that Go requires. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/**
 * Classifies a request, or refuses it.
 *
 * Never more permissive than the API server. It refuses requests that the API server could read differently
 * (see `findPathAmbiguity`), and those that the API server's own audit log would not show.
 *
 * @param method as sent
 * @param target from `rawRequestTarget`, or exactly the `URL` that is sent upstream
 * @param upgrade from `effectiveUpgrade`; several values are joined by commas, as `Headers.get` does
 */
export function classify(method: string, target: RequestTarget, upgrade: string | null): Classified {
  if (!METHODS.has(method)) return refuse(405, "the API server does not serve this method");
  const ambiguity = findPathAmbiguity(target.pathname);
  if (ambiguity !== undefined) return refuse(400, `${ambiguity}, which no Kubernetes client sends`);
  if (hasAmbiguousBoolean(parseQuery(target.search))) {
    return refuse(400, "the query spells `false` with U+017F, which Kubernetes reads in two ways");
  }
  const parsed = parseRequestInfo(method, target);
  if (!parsed.ok) return refuse(400, parsed.error);
  const info = parsed.value;

  if (info.isResourceRequest && info.verb === "proxy") return refuse(403, LEGACY_PROXY_REASON, info);
  const upgradeTo = readUpgrade(upgrade);
  const endpoint = findSessionEndpoint(info);
  if (endpoint !== undefined) return classifySession(method, target, info, endpoint, upgradeTo);
  // The API server ignores an upgrade that it does not know, as Java's client asks for h2c on each request.
  // It is never passed on, so it has no effect on a workload either.
  if (upgradeTo === "none" || upgradeTo === "unknown") return { kind: "rest", info };
  if (upgradeTo === "websocket" && method === "GET") {
    if (isReadingStream(info)) return { kind: "stream", info };
    if (isWorkloadProxy(info))
      return { kind: "session", info, session: workloadProxyTarget(info), transport: "websocket" };
  }
  return refuse(403, describeDeniedUpgrade(info), info);
}

/**
 * Reads the Upgrade header as the API server does, in any case: `websocket` must be the only value, while
 * SPDY may be one of several.
 */
function readUpgrade(upgrade: string | null): Upgrade {
  if (upgrade === null) return "none";
  const value = upgrade.trim().toLowerCase();
  if (value === "websocket") return "websocket";
  return value.includes("spdy/3.1") ? "spdy" : "unknown";
}

function classifySession(
  method: string,
  target: RequestTarget,
  info: RequestInfo,
  endpoint: SessionEndpoint,
  upgradeTo: Upgrade,
): Classified {
  const { subresource } = info;
  if (upgradeTo === "unknown") {
    return refuse(400, "the Upgrade header names a protocol that is neither WebSocket nor SPDY/3.1", info);
  }
  if (upgradeTo === "none") {
    // A client also gets this when a proxy removes its SPDY upgrade, hence
    // the version of kubectl with WebSocket.
    return refuse(400, `${subresource} requires a connection upgrade to WebSocket (kubectl 1.31 or later)`, info);
  }
  // API servers run an exec for PUT and other methods with a WebSocket
  // upgrade, which bypasses rules about GET.
  if (upgradeTo === "websocket" && method !== "GET") {
    return refuse(400, `${subresource} over WebSocket requires the method GET`, info);
  }
  if (upgradeTo === "spdy") {
    if (endpoint.api === "kubevirt")
      return refuse(400, `${subresource} of a virtual machine requires a WebSocket`, info);
    if (method !== "POST" && method !== "GET") {
      return refuse(400, `${subresource} over SPDY requires the method POST or GET`, info);
    }
  }
  const session = readSessionTarget(endpoint, info, parseQuery(target.search));
  if (!session.ok) return refuse(400, session.error, info);
  return { kind: "session", info, session: session.value, transport: upgradeTo };
}

/** A watch of a subresource does not count: an aggregated API could serve anything at `…/console?watch=1`. */
function isReadingStream(info: RequestInfo): boolean {
  if (!info.isResourceRequest) return false;
  if (info.verb === "watch") return info.subresource === "";
  return (
    info.apiGroup === "" &&
    info.apiVersion === "v1" &&
    info.namespace !== "" &&
    info.resource === "pods" &&
    info.subresource === "log" &&
    info.parts.length === 3
  );
}

function describeDeniedUpgrade(info: RequestInfo): string {
  if (!info.isResourceRequest) return "connection upgrades are relayed only for Kubernetes resources";
  const what = info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`;
  const group = info.apiGroup === "" ? "" : ` of ${info.apiGroup}`;
  return `connection upgrades for ${what}${group} are not relayed`;
}

function refuse(status: Refused["status"], reason: string, info?: RequestInfo): Refused {
  return info === undefined ? { kind: "refused", reason, status } : { kind: "refused", info, reason, status };
}
