import type { Counts } from "../audit/events.ts";
import { CLOSE_GOING_AWAY, CLOSE_NORMAL, closeQuietly, forwardClose } from "./closing.ts";
import type { HangUp } from "./ending.ts";
import type { FlowGate } from "./flow.ts";
import { type Message, type Observer, sizeOf } from "./protocols/observer.ts";

export interface RelayParts {
  readonly client: WebSocket;
  readonly upstream: WebSocket;
  readonly observer: Observer;
  readonly gate: FlowGate;
  /** When the session began, ms since the epoch: the first moment that counts as use. */
  readonly startedAt: number;
  readonly onHangUp: (hangUp: HangUp) => void;
}

/**
 * Two WebSockets joined: messages go across as they came, kind and border kept, until one side hangs up or `end` is
 * called. The relay decides nothing of the session; it tells `onHangUp` and the counters.
 */
export class Relay {
  readonly #client: WebSocket;
  readonly #upstream: WebSocket;
  readonly #observer: Observer;
  readonly #gate: FlowGate;
  readonly #onHangUp: (hangUp: HangUp) => void;
  readonly #counts = { bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0 };
  #activeAt: number;
  #joined = false;

  constructor(parts: RelayParts) {
    this.#client = parts.client;
    this.#upstream = parts.upstream;
    this.#observer = parts.observer;
    this.#gate = parts.gate;
    this.#activeAt = parts.startedAt;
    this.#onHangUp = parts.onHangUp;
  }

  get counts(): Counts {
    return { ...this.#counts };
  }

  /** When the session was last used, ms since the epoch. */
  get activeAt(): number {
    return this.#activeAt;
  }

  get observer(): Observer {
    return this.#observer;
  }

  /** Accepts both sockets and starts to relay. Nothing has flowed before this. */
  join(): void {
    this.#joined = true;
    this.#listen("client", this.#client, (message) => this.#fromClient(message));
    this.#listen("upstream", this.#upstream, (message) => this.#fromUpstream(message));
    // Half-open: the answering close frame is ours to send, after the other leg has its close.
    this.#client.accept({ allowHalfOpen: true });
    this.#upstream.accept({ allowHalfOpen: true });
  }

  /** Says `words` to the client in its protocol's own terms and hangs up on both sides. */
  end(words: string): void {
    if (!this.#joined) return;
    this.#joined = false;
    closeQuietly(this.#upstream, CLOSE_GOING_AWAY, words);
    const { lingerMs } = this.#observer;
    for (const message of this.#observer.farewell(words)) this.#send(this.#client, message);
    if (lingerMs > 0) setTimeout(() => closeQuietly(this.#client, CLOSE_NORMAL), lingerMs);
    else closeQuietly(this.#client, CLOSE_NORMAL);
  }

  #listen(side: HangUp["side"], socket: WebSocket, onMessage: (message: Message) => void): void {
    // Otherwise binary messages arrive as Blobs, whose bytes are only to be had asynchronously.
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => onMessage(event.data as Message));
    socket.addEventListener("close", (event) => this.#hungUp(side, event.code, event.reason));
    // What broke is of no use to anybody; that it broke is.
    socket.addEventListener("error", () => this.#hungUp(side, 1006, ""));
  }

  #fromClient(message: Message): void {
    if (!this.#joined) return;
    this.#counts.messages_in++;
    this.#counts.bytes_in += sizeOf(message);
    if (this.#observer.fromClient(message)) this.#activeAt = Date.now();
    this.#send(this.#upstream, message);
  }

  #fromUpstream(message: Message): void {
    if (!this.#joined) return;
    this.#counts.messages_out++;
    this.#counts.bytes_out += sizeOf(message);
    if (this.#observer.fromUpstream(message)) this.#activeAt = Date.now();
    this.#send(this.#client, message);
  }

  #send(socket: WebSocket, message: Uint8Array<ArrayBuffer> | Message): void {
    try {
      socket.send(message);
    } catch {
      // The socket closed under us; its close event follows and says so.
      return;
    }
    this.#gate.sent(socket);
  }

  #hungUp(side: HangUp["side"], code: number, reason: string): void {
    if (!this.#joined) return;
    const lostWithoutAWord = side === "upstream" && code === 1006 && !this.#observer.finalStatus();
    this.#onHangUp({ side, code });
    if (lostWithoutAWord) {
      this.end("the connection to the cluster was lost");
      return;
    }
    this.#joined = false;
    const [near, far] = side === "client" ? [this.#client, this.#upstream] : [this.#upstream, this.#client];
    forwardClose(far, code, reason);
    forwardClose(near, code, "");
  }
}
