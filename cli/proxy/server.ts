/** The proxy: a loopback listener that passes requests, streams and upgrades on to a deployment. */
import {
  Agent,
  createServer,
  type IncomingMessage,
  request as plainRequest,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { request as tlsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { errorCode, messageOf } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";
import { makeAgent } from "../net/tls.ts";
import { readUnauthenticated } from "../oauth/challenge.ts";
import { admitRequest, refusalStatus } from "./admit.ts";
import type { CredentialSource } from "./credentials.ts";
import { isSessionProtocol, reasonPhrase, requestHeaders, responseHeaders, upgradeHead } from "./headers.ts";

export interface ProxyOptions {
  /** `https://host`, or of the local stack `http://127.0.0.1:port`. */
  readonly origin: string;
  readonly certificateAuthority: string | undefined;
  readonly credentials: CredentialSource;
  /** 0: any that is free. */
  readonly port: number;
  readonly secretPath: string;
  /** Told once for each request that could not be passed on. */
  readonly onFailure: (message: string) => void;
}

export interface RunningProxy {
  /** What clients use as their server. */
  readonly address: string;
  readonly close: () => void;
}

/**
 * Node.js takes any three digits of a server, also `099`, and an upgrade's 101 where nobody has asked for
 * one.
 */
const LEAST_FINAL_STATUS = 200;

/** Node.js 20 does not know the option: there every request with `Upgrade` comes as one. */
const LISTENER_OPTIONS = {
  shouldUpgradeCallback: ({ headers }: IncomingMessage) => isSessionProtocol(headers.upgrade),
} satisfies ServerOptions;

/** @throws PluginFailure where the port is taken */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { origin, certificateAuthority, port, secretPath } = options;
  const isPlain = new URL(origin).protocol === "http:";
  const agent = isPlain ? new Agent({ keepAlive: true }) : makeAgent(certificateAuthority);
  const open = new Set<Duplex>();
  let address = { port, secretPath };
  const server = createServer(LISTENER_OPTIONS, (request, response) => {
    void passOn(request, { kind: "response", response });
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    // Node.js takes its own listener away before an upgrade. A client that resets must not end the proxy.
    socket.on("error", () => socket.destroy());
    void passOn(request, { kind: "upgrade", socket, head });
  });
  // An upload, or a watch, lasts as long as it lasts.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  }).catch((error: unknown) => {
    throw new PluginFailure("proxy", `cannot listen on 127.0.0.1:${port} (${errorCode(error)}): use another --port`);
  });
  address = { port: (server.address() as AddressInfo).port, secretPath };

  async function passOn(request: IncomingMessage, client: Client): Promise<void> {
    try {
      const admitted = admitRequest({ target: request.url ?? "", headers: request.headers }, address);
      if (!admitted.ok) {
        refuse(client, admitted.error.status, admitted.error.message);
        return;
      }
      await send({ request, client, path: admitted.value }, options, agent);
    } catch (error) {
      options.onFailure(messageOf(error));
      refuse(client, 503, messageOf(error));
    }
  }

  return {
    address: `http://127.0.0.1:${address.port}${secretPath}`,
    close: () => {
      server.close();
      server.closeAllConnections();
      for (const socket of open) socket.destroy();
      agent.destroy();
    },
  };
}

type Client =
  | { readonly kind: "response"; readonly response: ServerResponse }
  | { readonly kind: "upgrade"; readonly socket: Duplex; readonly head: Buffer };

/** A request that has been admitted. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly client: Client;
  /** What the deployment is asked for. */
  readonly path: string;
}

async function send(exchange: Exchange, options: ProxyOptions, agent: Agent, isRepeated = false): Promise<void> {
  const { request, client, path } = exchange;
  const { origin, credentials, onFailure } = options;
  const { host, hostname, port, protocol } = new URL(origin);
  const { upgrade, "transfer-encoding": coding } = request.headers;
  if (client.kind === "upgrade" && !isSessionProtocol(upgrade) && hasBody(request)) {
    refuse(client, 400, `a request with a body must not ask for the protocol ${upgrade}, on this version of Node.js`);
    return;
  }
  const added = await credentials.headers();
  // It went away meanwhile, so nothing would ever end the request.
  if (isGone(client)) return;
  const headers = requestHeaders(request.rawHeaders, host, added, {
    upgrade: client.kind === "upgrade" && isSessionProtocol(upgrade) ? upgrade : undefined,
    isChunked: coding !== undefined,
  });
  const isPlain = protocol === "http:";
  // Not as a URL, which would resolve what the deployment must see as the client has sent it.
  const outgoing = (isPlain ? plainRequest : tlsRequest)({
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port || (isPlain ? 80 : 443),
    method: request.method ?? "GET",
    path,
    headers,
    agent,
  });
  const fail = (message: string) => {
    if (!isGone(client)) onFailure(message);
    refuse(client, 503, message);
  };
  streamOf(client).once("close", () => {
    if (client.kind === "upgrade" || !client.response.writableFinished) outgoing.destroy();
  });
  outgoing.on("error", (error) => fail(`${host} cannot be reached (${errorCode(error) ?? messageOf(error)})`));
  outgoing.on("response", (incoming) => {
    const { statusCode = 502, headers: answered } = incoming;
    const isChallenged = readUnauthenticated(statusCode, answered["www-authenticate"] ?? null).kind === "challenge";
    if (isChallenged && !isRepeated && !hasBody(request) && credentials.reject(added)) {
      // The token was revoked before its time. The request had no effect and no body, so it is sent again.
      incoming.resume();
      send(exchange, options, agent, true).catch((error: unknown) => fail(messageOf(error)));
      return;
    }
    if (statusCode < LEAST_FINAL_STATUS) {
      outgoing
        .removeAllListeners("error")
        .on("error", () => {})
        .destroy();
      fail(`${host} answered with the status ${statusCode}, which ends no request`);
      return;
    }
    answer(client, incoming);
  });
  outgoing.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (client.kind === "upgrade") {
      join(client, incoming, socket, head);
      return;
    }
    socket.destroy();
    fail(`${host} changed the protocol without being asked to`);
  });
  // What has been read to its end does not end a second time.
  if (client.kind === "response" && !isRepeated) request.pipe(outgoing);
  else outgoing.end();
}

function streamOf(client: Client): Duplex | ServerResponse {
  return client.kind === "response" ? client.response : client.socket;
}

function isGone(client: Client): boolean {
  return streamOf(client).destroyed;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

/** Passes an answer on as it comes. */
function answer(client: Client, incoming: IncomingMessage): void {
  const { statusCode = 502, rawHeaders } = incoming;
  const statusMessage = reasonPhrase(incoming.statusMessage);
  if (client.kind === "upgrade") {
    // The upgrade was refused: the answer ends with the connection.
    client.socket.write(
      upgradeHead(statusCode, statusMessage, [...responseHeaders(rawHeaders), "connection", "close"]),
    );
    incoming.pipe(client.socket);
    incoming.on("error", () => client.socket.destroy());
    return;
  }
  const { response } = client;
  response.writeHead(statusCode, statusMessage, responseHeaders(rawHeaders));
  // A watch may say nothing for minutes after its head.
  response.flushHeaders();
  incoming.pipe(response);
  // An answer that was cut must not look like one that has ended.
  incoming.on("error", () => response.destroy());
  incoming.on("aborted", () => response.destroy());
}

/** Joins both connections after an upgrade: WebSocket or SPDY, it is bytes from here on. */
function join(
  { socket: client, head: fromClient }: Client & { readonly kind: "upgrade" },
  { statusCode = 101, statusMessage = "", rawHeaders }: IncomingMessage,
  upstream: Duplex,
  fromUpstream: Buffer,
): void {
  client.write(upgradeHead(statusCode, statusMessage, rawHeaders));
  if (fromUpstream.length > 0) client.write(fromUpstream);
  if (fromClient.length > 0) upstream.write(fromClient);
  client.pipe(upstream).pipe(client);
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
}

function refuse(client: Client, status: number, message: string): void {
  const body = refusalStatus({ status, message });
  const fields = ["content-type", "application/json", "content-length", String(Buffer.byteLength(body))];
  if (client.kind === "upgrade") {
    if (client.socket.writable)
      client.socket.end(upgradeHead(status, "Refused", [...fields, "connection", "close"]) + body);
    return;
  }
  const { response } = client;
  if (response.headersSent) response.destroy();
  else response.writeHead(status, fields).end(body);
}
