/** What kind of request this is, decided from its method, URL and Upgrade header alone. */
import { pathAmbiguity, type RequestTarget } from "./path.ts";
import { hasAmbiguousBoolean, parseQuery } from "./query.ts";
import { parseRequestInfo, type RequestInfo } from "./request-info.ts";
import {
  findSessionEndpoint,
  isWorkloadProxy,
  proxyTarget,
  readSessionTarget,
  type SessionEndpoint,
  type SessionTarget,
} from "./session-target.ts";

export type { SessionKind, SessionTarget } from "./session-target.ts";

/** How a session's bytes travel between the client and us. */
export type SessionTransport = "websocket" | "spdy";

/** The kind of a request. Everything that fits no other kind is refused. */
export type Classified =
  /** Plain HTTP. */
  | { readonly kind: "rest"; readonly info: RequestInfo }
  /** A watch or a log over WebSocket: it only reads, so it is no session. */
  | { readonly kind: "stream"; readonly info: RequestInfo }
  | {
      readonly kind: "session";
      readonly info: RequestInfo;
      readonly session: SessionTarget;
      readonly transport: SessionTransport;
    }
  /** `reason` is for a person: lower case, no full stop, nothing of the request's in it but names of API parts. */
  | {
      readonly kind: "refused";
      readonly info?: RequestInfo;
      readonly reason: string;
      readonly status: 400 | 403 | 405;
    };

type Refused = Extract<Classified, { kind: "refused" }>;
type Upgrade = "none" | SessionTransport | "unknown";

/** The methods Kubernetes serves, spelled as Go compares them. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/**
 * Sorts a request into its kind, or refuses it.
 *
 * Never more permissive than the API server: what it would read differently (see `pathAmbiguity`), and what it would run
 * without its own audit naming it, is refused.
 *
 * @param method as sent.
 * @param target from `spelledTarget`, or the very `URL` that is sent upstream. Never one of them for a request that is
 *   sent under another spelling.
 * @param upgrade the Upgrade header, `null` when absent; several values joined by commas, as `Headers.get` does.
 */
export function classify(method: string, target: RequestTarget, upgrade: string | null): Classified {
  if (!METHODS.has(method)) return refuse(405, "the API server does not serve this method");
  const ambiguity = pathAmbiguity(target.pathname);
  if (ambiguity !== undefined) return refuse(400, `${ambiguity}, which no Kubernetes client sends`);
  if (hasAmbiguousBoolean(parseQuery(target.search))) {
    return refuse(400, "the query says `false` with a letter that is an s to some only");
  }
  const info = parseRequestInfo(method, target);
  if ("error" in info) return refuse(400, info.error);

  const closed = closedSurface(info);
  if (closed !== undefined) return refuse(403, closed, info);
  const upgradeTo = readUpgrade(upgrade);
  if (upgradeTo === "unknown") {
    return refuse(400, "the Upgrade header names a protocol that is neither WebSocket nor SPDY/3.1", info);
  }
  const surface = findSessionEndpoint(info);
  if (surface !== undefined) return classifySession(method, target, info, surface, upgradeTo);
  if (upgradeTo === "none") return { kind: "rest", info };
  if (upgradeTo === "websocket" && method === "GET") {
    if (isReadingStream(info)) return { kind: "stream", info };
    if (isWorkloadProxy(info)) return { kind: "session", info, session: proxyTarget(info), transport: "websocket" };
  }
  return refuse(403, unrelayedUpgrade(info), info);
}

/** Surfaces that stay shut with and without an upgrade, and why. */
function closedSurface(info: RequestInfo): string | undefined {
  if (info.isResourceRequest && info.verb === "proxy") {
    return "the legacy /proxy/ prefix is not available here; use the proxy subresource of the pod or service";
  }
  return undefined;
}

/**
 * What the client wants to upgrade to. The API server takes WebSocket by equality and SPDY by containment, both in any
 * case, so a list that names SPDY is SPDY and a list that names WebSocket among others is neither.
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
  surface: SessionEndpoint,
  upgradeTo: "none" | SessionTransport,
): Classified {
  const { subresource } = info;
  if (upgradeTo === "none") {
    // Also what a client sees whose SPDY upgrade a proxy on the way has taken off, hence the second half.
    return refuse(400, `${subresource} needs a connection upgrade, by WebSocket (kubectl 1.31 or later)`, info);
  }
  // An API server was seen to run an exec for PUT and others with a WebSocket upgrade, past every rule about GET.
  if (upgradeTo === "websocket" && method !== "GET") {
    return refuse(400, `${subresource} by WebSocket needs the method GET`, info);
  }
  if (upgradeTo === "spdy") {
    if (surface.api === "kubevirt") return refuse(400, `${subresource} of a virtual machine needs a WebSocket`, info);
    if (method !== "POST" && method !== "GET") {
      return refuse(400, `${subresource} by SPDY needs the method POST or GET`, info);
    }
  }
  const session = readSessionTarget(surface, info, parseQuery(target.search));
  if ("reason" in session) return refuse(400, session.reason, info);
  return { kind: "session", info, session, transport: upgradeTo };
}

/** A subresource rules a watch out: an aggregated API could serve anything at `…/console?watch=1`. */
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

function unrelayedUpgrade(info: RequestInfo): string {
  if (!info.isResourceRequest) return "connection upgrades are relayed only for Kubernetes resources";
  const what = info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`;
  const group = info.apiGroup === "" ? "" : ` of ${info.apiGroup}`;
  return `connection upgrades for ${what}${group} are not relayed`;
}

function refuse(status: Refused["status"], reason: string, info?: RequestInfo): Refused {
  return info === undefined ? { kind: "refused", reason, status } : { kind: "refused", info, reason, status };
}
