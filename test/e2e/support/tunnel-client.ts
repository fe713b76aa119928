/**
 * A WebSocket client for port-forward's subprotocol, whose name Node's `ws` refuses to offer: it is no token.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { PORT_FORWARD_TUNNEL } from "../../../durable/protocols/port-forward-tunnel.ts";
import { FrameReader } from "../../../durable/websocket/frame-reader.ts";
import { encodeClientFrame } from "../../../durable/websocket/frame-writer.ts";
import { encodeKey, encodeRequest, findHeadEnd, parseHead } from "../../../durable/websocket/handshake.ts";
import { Opcode } from "../../../durable/websocket/protocol.ts";

export class TunnelClient {
  readonly headers: ReadonlyMap<string, string>;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  isClosed = false;
  readonly #socket: Socket;

  private constructor(socket: Socket, headers: ReadonlyMap<string, string>, closed: Promise<void>) {
    this.#socket = socket;
    this.headers = headers;
    this.closed = closed.then(() => {
      this.isClosed = true;
    });
  }

  /** @param onData gets the server's bytes, wherever messages end */
  static async open(
    socket: Socket,
    target: string,
    headers: readonly (readonly [string, string])[],
    onData: (bytes: Uint8Array) => void,
  ): Promise<TunnelClient> {
    const all = [...headers, ["Sec-WebSocket-Protocol", PORT_FORWARD_TUNNEL] as const];
    const request = encodeRequest(target, "localhost", all, encodeKey(randomBytes(16)));
    if (!request) throw new Error("the request cannot be written");
    const closed = new Promise<void>((resolve) => socket.once("close", resolve));
    // A reset is an end like another.
    socket.on("error", () => {});
    socket.setNoDelay(true);
    socket.write(request);
    const reader = new FrameReader({
      onData: (_, payload) => onData(payload),
      onPing: () => {},
      onPong: () => {},
      onClose: () => socket.end(),
    });
    return new Promise((resolve, reject) => {
      let head: Uint8Array<ArrayBuffer> | undefined = new Uint8Array(0);
      void closed.then(() => reject(new Error("the connection was closed before the upgrade")));
      socket.on("data", (chunk: Buffer) => {
        if (head === undefined) {
          reader.push(chunk);
          return;
        }
        head = new Uint8Array(Buffer.concat([head, chunk]));
        const end = findHeadEnd(head);
        if (end === undefined) return;
        const answer = parseHead(head.subarray(0, end));
        const rest = head.subarray(end);
        head = undefined;
        if (answer.ok && answer.value.status === 101) {
          resolve(new TunnelClient(socket, answer.value.headers, closed));
          reader.push(rest);
          return;
        }
        socket.destroy();
        reject(new Error(`no upgrade: ${Buffer.from(rest).toString()}`));
      });
    });
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(encodeClientFrame(Opcode.binary, bytes, randomBytes(4)));
  }

  close(): void {
    this.#socket.destroy();
  }
}
