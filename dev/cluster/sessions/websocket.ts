import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";

/** The parts of an HTTP upgrade that are left to answer. */
export interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
}

const CLOSE_TIMEOUT_MS = 5_000;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Whether the request wants a WebSocket; the case of the header's value does not matter. */
export function isWebSocketRequest(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

/** The subprotocols a client offers, in its order. */
export function offeredProtocols(request: IncomingMessage): string[] {
  const offered = request.headers["sec-websocket-protocol"] ?? "";
  return offered
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/**
 * Completes the handshake with that subprotocol ("" for none). `ws` does not negotiate here: it refuses names that are
 * no tokens, and `SPDY/3.1+portforward.k8s.io`, which kubectl offers, is none.
 */
export function acceptWebSocket(request: IncomingMessage, upgrade: Upgrade, protocol: string): Promise<WebSocket> {
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    // Go's WebSocket server takes any bytes in a text message, and Python's client sends input so.
    skipUTF8Validation: true,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const server = new WebSocketServer(options);
  server.once("headers", (headers) => {
    if (protocol !== "") headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  });
  delete request.headers["sec-websocket-protocol"];
  // `ws` insists on GET; the API server upgrades a POST as well.
  request.method = "GET";
  return new Promise((resolve) => {
    server.handleUpgrade(request, upgrade.socket, upgrade.head, (socket) => {
      socket.on("error", () => socket.terminate());
      resolve(socket);
    });
  });
}

// Enough to keep a fast reader busy, little enough that a slow one costs nothing.
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

/** Sends messages and says when their source should pause: what a slow client has not taken is not piled up here. */
export class MessageSender {
  readonly #socket: WebSocket;
  readonly #onPressure: (paused: boolean) => void;
  #pendingBytes = 0;
  #paused = false;

  constructor(socket: WebSocket, onPressure: (paused: boolean) => void) {
    this.#socket = socket;
    this.#onPressure = onPressure;
  }

  send(message: Buffer, binary = true): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#pendingBytes += message.length;
    this.#socket.send(message, { binary, compress: false }, () => {
      this.#pendingBytes -= message.length;
      if (this.#paused && this.#pendingBytes <= LOW_WATER_BYTES) this.#set(false);
    });
    if (!this.#paused && this.#pendingBytes >= HIGH_WATER_BYTES) this.#set(true);
  }

  #set(paused: boolean): void {
    this.#paused = paused;
    this.#onPressure(paused);
  }
}

/** A message as one Buffer, without copying where it is one already. */
export function toBuffer(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
