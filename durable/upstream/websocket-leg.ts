import { CloseCode, closeQuietly } from "../../common/close-codes.ts";
import { onSocketEnd } from "../websocket/socket-end.ts";
import type { LegReceiver, UpstreamLeg } from "./leg.ts";

/** A smaller message is somebody typing, or the end of something: what was joined goes out at once. */
const BULK_BYTES = 4 * 1024;
const POLL_MS = 1;

const utf8 = new TextEncoder();

/**
 * A WebSocket to the cluster that the platform speaks. It delivers whole messages as events, so it cannot be
 * told to wait, and it sends no pings.
 */
export class WebSocketLeg implements UpstreamLeg {
  readonly hasBackpressure = false;
  readonly subprotocol: string;
  readonly #socket: WebSocket;
  #receiver: LegReceiver | undefined;
  #sentBytes = 0;
  /** Nothing more is taken. What the cluster had sent before still arrives. */
  #isBroken = false;
  #hasTimer = false;

  /** @param socket not accepted yet */
  constructor(socket: WebSocket, subprotocol: string) {
    this.#socket = socket;
    this.subprotocol = subprotocol;
  }

  /** workerd says what the other side has taken since 1.20261117. */
  get isMeasured(): boolean {
    return this.#socket.bufferedAmount !== undefined;
  }

  get unsentBytes(): number {
    // What a connection that is gone did not take, nobody will.
    return this.#isBroken ? 0 : (this.#socket.bufferedAmount ?? this.#sentBytes);
  }

  get takenBytes(): number {
    return this.#sentBytes - this.unsentBytes;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  start(receiver: LegReceiver): void {
    this.#receiver = receiver;
    const socket = this.#socket;
    // Otherwise binary messages arrive as Blobs, which can only be read asynchronously.
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#deliver(data as ArrayBuffer | string));
    socket.addEventListener("error", () => {
      this.#isBroken = true;
    });
    // With 1006, the reason is a text of the platform's.
    onSocketEnd(socket, (code, reason) => this.#end(code, code === CloseCode.abnormal ? "" : reason));
    // Half-open: we send the answering close frame, after the client has its close.
    socket.accept({ allowHalfOpen: true });
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    try {
      this.#socket.send(message);
      this.#sentBytes += typeof message === "string" ? message.length : message.byteLength;
    } catch {
      // The socket has closed; its close event follows.
    }
  }

  async whenTaken(maxMs: number): Promise<void> {
    const end = Date.now() + maxMs;
    while (!this.#isBroken && this.#socket.bufferedAmount && Date.now() < end) await scheduler.wait(POLL_MS);
  }

  ping(): void {}

  close(code?: number, reason?: string): void {
    closeQuietly(this.#socket, code, reason);
  }

  abort(): void {
    this.#end(CloseCode.abnormal, "");
    closeQuietly(this.#socket);
  }

  #deliver(data: ArrayBuffer | string): void {
    const isText = typeof data === "string";
    const bytes = isText ? utf8.encode(data) : new Uint8Array(data);
    try {
      this.#receiver?.onPart({ bytes, isText, isFirst: true, isLast: true });
    } catch (error) {
      this.#receiver?.onFailure(error);
      return;
    }
    if (bytes.length < BULK_BYTES && !this.#hasTimer) this.#receiver?.onPause();
    else this.#pauseSoon();
  }

  /** In the next turn of the event loop, a millisecond at most, so that messages of a burst are joined. */
  #pauseSoon(): void {
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    setTimeout(() => {
      this.#hasTimer = false;
      this.#receiver?.onPause();
    }, 0);
  }

  #end(code: number, reason: string): void {
    this.#isBroken = true;
    const receiver = this.#receiver;
    this.#receiver = undefined;
    receiver?.onPause();
    receiver?.onClose({ code, reason });
  }
}
