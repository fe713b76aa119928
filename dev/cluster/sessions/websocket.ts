import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";

/** An HTTP upgrade that has not been answered. */
export interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/**
 * How long a client may take to read what comes before the close frame, and to answer it. The API server ends
 * a stream that is idle for so long. Shorter, `ws` would cut off a client that pauses, with all that waits.
 */
const CLOSE_TIMEOUT_MS = 4 * 60 * 60 * 1000;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** @returns whether the request asks for a WebSocket; the header's value is case-insensitive */
export function isWebSocketRequest(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === "websocket";
}

/** @returns the subprotocols that a client offers, in its order */
export function offeredProtocols(request: IncomingMessage): string[] {
  const offered = request.headers["sec-websocket-protocol"] ?? "";
  return offered
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/**
 * Completes the handshake with a subprotocol ("" for none). Bypasses the negotiation of `ws`, which rejects
 * names that are not tokens, such as kubectl's `SPDY/3.1+portforward.k8s.io`.
 */
export function acceptWebSocket(request: IncomingMessage, upgrade: Upgrade, protocol: string): Promise<WebSocket> {
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    // Go's WebSocket server accepts any bytes in a text message, which is how Python's client sends input.
    skipUTF8Validation: true,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const server = new WebSocketServer(options);
  server.once("headers", (headers) => {
    if (protocol !== "") headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
  });
  delete request.headers["sec-websocket-protocol"];
  // `ws` requires GET, but the API server also upgrades a POST.
  request.method = "GET";
  return new Promise((resolve) => {
    server.handleUpgrade(request, upgrade.socket, upgrade.head, (socket) => {
      socket.on("error", () => socket.terminate());
      resolve(socket);
    });
  });
}

// Enough for a fast reader, and little memory for a slow one.
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

/**
 * Sends messages, and says when their source should pause, so that a slow client's data does not pile up
 * here.
 */
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

/** @returns a message as one Buffer, without a copy if it is one already */
export function toBuffer(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}
