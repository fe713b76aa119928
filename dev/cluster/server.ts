import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
  AGGREGATED_MEDIA_TYPE,
  acceptsAggregated,
  aggregatedDiscovery,
  legacyDiscovery,
  openapiV3,
} from "./api/discovery.ts";
import { APPLY_MEDIA_TYPE, mediaTypeOf } from "./api/patch.ts";
import { findResource, type ResourceInfo } from "./api/resources.ts";
import { answerObjectRequest, selectorOf } from "./api/rest.ts";
import { internalError, StatusError, unknownPath } from "./api/status.ts";
import type { Store } from "./api/storage.ts";
import { negotiate } from "./api/table.ts";
import { type WatchRequest, type WatchSink, watch } from "./api/watch.ts";
import { responseSink, watchProtocol, webSocketSink } from "./api/watch-sinks.ts";
import type { AuditedRequest, AuditLog } from "./auth/audit.ts";
import { type Authorizer, refusal } from "./auth/authorizer.ts";
import { impersonatedUser, impersonationRequests, PROXY_ACCOUNT, type UserInfo } from "./auth/identity.ts";
import { type RequestInfo, type ResourceRequest, requestInfo } from "./auth/request-info.ts";
import { review } from "./auth/reviews.ts";
import { checkOrigin, readBody, sendEarlyJson, sendJson, splitUrl } from "./http.ts";
import { requestedLog, writeLog } from "./sessions/logs.ts";
import { prepareSession, SESSION_SUBRESOURCES, type SessionContext } from "./sessions/sessions.ts";
import { targetContainer, targetPod } from "./sessions/target.ts";
import { isWebSocketRequest, type Upgrade } from "./sessions/websocket.ts";
import { serverVersion } from "./version.ts";

export interface ServerContext extends SessionContext {
  readonly store: Store;
  readonly authorizer: Authorizer;
  readonly audit: AuditLog;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly upgrade: Upgrade | undefined;
  readonly query: URLSearchParams;
  readonly user: UserInfo;
  readonly audited: AuditedRequest;
}

/** `DefaultMaxHeaderBytes` of Go's net/http, the request line included. */
const MAX_HEADER_BYTES = 1024 * 1024;
const REVIEW_GROUPS = ["authentication.k8s.io", "authorization.k8s.io"];
const HEALTH_PATHS = ["/healthz", "/livez", "/readyz"];

/**
 * The HTTP server: authenticates, parses, authorizes, and then serves discovery, objects, logs or sessions.
 */
export function createApiServer(context: ServerContext): Server {
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES },
    (request, response) => void handle(context, request, response, undefined),
  );
  server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    // A separate response object, so that a refused upgrade is answered like any other request.
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once("finish", () => socket.end());
    void handle(context, request, response, { socket, head });
  });
  return server;
}

async function handle(
  context: ServerContext,
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: Upgrade | undefined,
): Promise<void> {
  let audited: AuditedRequest | undefined;
  try {
    checkOrigin(request);
    const { path, query } = splitUrl(request);
    const user = impersonatedUser(request);
    for (const needed of impersonationRequests(request)) {
      if (!context.authorizer.decide(PROXY_ACCOUNT, needed).allowed) throw refusal(PROXY_ACCOUNT, needed);
    }
    const info = requestInfo(request.method ?? "GET", path, query);
    audited = context.audit.begin(request, info, user);
    response.setHeader("Audit-Id", audited.auditId);
    const decision = context.authorizer.decide(user, info);
    audited.decided(decision);
    if (!decision.allowed) throw refusal(user, info);
    await route(context, info, { request, response, upgrade, query, user, audited });
  } catch (error) {
    await refuse(request, response, error, upgrade !== undefined);
  }
  audited?.completed(response.statusCode);
}

async function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  isUpgrade: boolean,
): Promise<void> {
  if (!(error instanceof StatusError))
    process.stderr.write(`embedded cluster: ${error instanceof Error ? error.stack : String(error)}\n`);
  const { status } = error instanceof StatusError ? error : internalError("see the embedded cluster's own output");
  if (response.headersSent) response.destroy();
  else if (request.complete || isUpgrade) sendJson(response, status.code, status, false);
  else await sendEarlyJson(request, response, status.code, status);
}

async function route(context: ServerContext, info: RequestInfo, exchange: Exchange): Promise<void> {
  if (!info.isResource) return answerPath(info.path, exchange);
  const resource = findResource(info.group, info.version, info.resource);
  if (resource === undefined) throw unknownPath();
  if (info.subresource !== "") return answerSubresource(context, resource, info, exchange);
  if (REVIEW_GROUPS.includes(info.group)) {
    if (info.verb !== "create") throw unknownPath();
    const answer = review(info.resource, await readBody(exchange.request), exchange.user, context.authorizer);
    return send(exchange, 201, answer);
  }
  return answerObjects(context, resource, info, exchange);
}

function answerPath(path: string, exchange: Exchange): void {
  const { request, response } = exchange;
  if (HEALTH_PATHS.includes(path)) {
    response.end("ok");
    return;
  }
  const isDiscoveryRoot = path === "/api" || path === "/apis";
  if (isDiscoveryRoot && acceptsAggregated(request.headers.accept ?? "")) {
    response.setHeader("content-type", AGGREGATED_MEDIA_TYPE);
    response.setHeader("vary", "Accept");
    send(exchange, 200, aggregatedDiscovery(path === "/api"));
    return;
  }
  send(exchange, 200, documentAt(path));
}

function documentAt(path: string): object {
  if (path === "/version" || path === "/version/") return serverVersion();
  return path.startsWith("/openapi/v3") ? openapiV3(path) : legacyDiscovery(path);
}

async function answerObjects(
  { store, authorizer }: ServerContext,
  info: ResourceInfo,
  request: ResourceRequest,
  exchange: Exchange,
): Promise<void> {
  const { query } = exchange;
  const { accept = "", "content-type": contentType = "", "user-agent": agent = "" } = exchange.request.headers;
  const representation = negotiate(accept, query.get("includeObject"));
  if (request.verb === "watch") {
    const namespace = info.namespaced ? request.namespace : "";
    return answerWatch(store, { info, namespace, selected: selectorOf(query), representation, query }, exchange);
  }
  const body = ["create", "update", "patch", "delete", "deletecollection"].includes(request.verb)
    ? await readBody(exchange.request)
    : undefined;
  // An apply of an object that does not exist creates it, and needs that permission.
  if (request.verb === "patch" && mediaTypeOf(contentType) === APPLY_MEDIA_TYPE) {
    const creation = { ...request, verb: "create" };
    const isThere = store.find(info, info.namespaced ? request.namespace : "", request.name) !== undefined;
    if (!isThere && !authorizer.decide(exchange.user, creation).allowed) throw refusal(exchange.user, creation);
  }
  const manager = query.get("fieldManager") || agent.split("/")[0] || "unknown";
  const asked = { info, request, query, representation, contentType, body, manager };
  const answer = answerObjectRequest(store, asked);
  return send(exchange, answer.code, answer.body);
}

async function answerWatch(store: Store, watched: WatchRequest, exchange: Exchange): Promise<void> {
  const { request, response, upgrade, audited } = exchange;
  let sink: WatchSink;
  if (upgrade !== undefined && isWebSocketRequest(request)) {
    const protocol = watchProtocol(request);
    switchProtocols(exchange);
    sink = await webSocketSink(request, upgrade, protocol);
  } else {
    audited.started(200);
    sink = responseSink(response);
  }
  const closed = new Promise<void>((resolve) => sink.onClose(resolve));
  watch(store, watched, sink);
  return closed;
}

// From here on the WebSocket owns the socket. The response only keeps the code for the audit log.
function switchProtocols({ request, response, audited }: Exchange): void {
  response.detachSocket(request.socket);
  response.statusCode = 101;
  audited.started(101);
}

async function answerSubresource(
  context: ServerContext,
  resource: ResourceInfo,
  info: ResourceRequest,
  exchange: Exchange,
): Promise<void> {
  const { request, response, upgrade, query, audited } = exchange;
  if (!resource.subresources.some(({ name }) => name === info.subresource)) throw unknownPath();
  if (info.subresource === "ephemeralcontainers") return answerObjects(context, resource, info, exchange);
  if (SESSION_SUBRESOURCES.includes(info.subresource)) {
    const session = prepareSession(context, request, info, query);
    if (upgrade === undefined) throw internalError("the connection was not upgraded");
    switchProtocols(exchange);
    return session(upgrade);
  }
  const pod = targetPod(context.store, info);
  const container = targetContainer(pod, query.get("container") ?? "");
  const log = requestedLog({ pod, container }, query, context.kubelet);
  audited.started(200);
  return writeLog(log, query, response);
}

function send({ response, query }: Exchange, code: number, body: object): void {
  sendJson(response, code, body, query.has("pretty") && query.get("pretty") !== "false");
}
