import type { Counts } from "../audit/events.ts";
import { CLOSE_GOING_AWAY, CLOSE_NORMAL, closeQuietly, forwardClose } from "./close-codes.ts";
import type { HangUp } from "./outcome.ts";
import { Pipe } from "./pipe.ts";
import { type Message, type Observer, sizeOf } from "./protocols/observer.ts";
import type { LiveRecording } from "./recording/live-recording.ts";

export interface RelayParts {
  readonly client: WebSocket;
  readonly upstream: WebSocket;
  readonly observer: Observer;
  readonly recording: LiveRecording | undefined;
  /** Keeps the object's other events waiting until the promise is done: the brake of back-pressure. */
  readonly pauseInput: (until: () => Promise<void>) => void;
  /** When the session began, ms since the epoch: the first moment that counts as use. */
  readonly startedAt: number;
  readonly onHangUp: (hangUp: HangUp) => void;
  /** A reader has left more unread than may be queued for it; nothing more can be relayed. */
  readonly onOverflow: (reader: HangUp["side"]) => void;
}

/**
 * Two WebSockets joined: messages go across as they came, kind kept, and border too but where the observer says that it
 * means nothing, until one side hangs up or `end` is called. The relay decides nothing of the session.
 */
export class Relay {
  readonly #client: WebSocket;
  readonly #upstream: WebSocket;
  readonly #observer: Observer;
  readonly #recording: LiveRecording | undefined;
  readonly #toClient: Pipe;
  readonly #toUpstream: Pipe;
  readonly #onHangUp: RelayParts["onHangUp"];
  readonly #counts = { bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0 };
  #activeAt: number;
  #joined = false;
  #clientGone = false;

  constructor(parts: RelayParts) {
    this.#client = parts.client;
    this.#upstream = parts.upstream;
    this.#observer = parts.observer;
    this.#recording = parts.recording;
    const streamOf = (message: Message) => parts.observer.streamOf?.(message);
    const laneTo = (reader: HangUp["side"]) =>
      new Pipe(parts[reader], parts.pauseInput, streamOf, () => this.#joined && parts.onOverflow(reader));
    this.#toClient = laneTo("client");
    this.#toUpstream = laneTo("upstream");
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

  /** Bytes that the client has been given and not taken; they stay in memory until it does, or goes away. */
  get unsentBytes(): number {
    return this.#clientGone ? 0 : this.#toClient.unsentBytes;
  }

  /** Bytes that either side has been given and not taken. */
  get waitingBytes(): number {
    return this.unsentBytes + this.#toUpstream.unsentBytes;
  }

  /** The side that has more to take than the other. */
  get slowerReader(): HangUp["side"] {
    return this.#toClient.unsentBytes >= this.#toUpstream.unsentBytes ? "client" : "upstream";
  }

  /** The side that has taken nothing for so long although something waits for it, if any. */
  stalledReader(stallTimeoutMs: number): HangUp["side"] | undefined {
    if (this.#toClient.stalledMs() >= stallTimeoutMs) return "client";
    return this.#toUpstream.stalledMs() >= stallTimeoutMs ? "upstream" : undefined;
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
    this.#flush();
    closeQuietly(this.#upstream, CLOSE_GOING_AWAY, words);
    const { lingerMs, messageInCloseReason } = this.#observer;
    for (const message of this.#observer.goodbyeFrames(words)) this.#toClient.sendUnmerged(message);
    if (messageInCloseReason) closeQuietly(this.#client, CLOSE_GOING_AWAY, words);
    else if (lingerMs > 0) setTimeout(() => closeQuietly(this.#client, CLOSE_NORMAL), lingerMs);
    else closeQuietly(this.#client, CLOSE_NORMAL);
  }

  #flush(): void {
    this.#toClient.flush();
    this.#toUpstream.flush();
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
    this.#recording?.fromClient(message, Date.now());
    this.#toUpstream.send(message);
  }

  #fromUpstream(message: Message): void {
    if (!this.#joined) return;
    this.#counts.messages_out++;
    this.#counts.bytes_out += sizeOf(message);
    if (this.#observer.fromUpstream(message)) this.#activeAt = Date.now();
    this.#recording?.fromUpstream(message, Date.now());
    this.#toClient.send(message);
  }

  #hungUp(side: HangUp["side"], code: number, reason: string): void {
    if (side === "client") this.#clientGone = true;
    if (!this.#joined) return;
    this.#flush();
    const wasLost = side === "upstream" && code === 1006;
    const isOver = this.#observer.finalStatus() !== undefined;
    this.#onHangUp({ side, code });
    if (wasLost && !isOver) {
      this.end("the connection to the cluster was lost");
      return;
    }
    this.#joined = false;
    const [near, far] = side === "client" ? [this.#client, this.#upstream] : [this.#upstream, this.#client];
    // The cluster had said all: on another code than 1000 kubectl throws its Status away, and fails.
    if (wasLost) closeQuietly(far, CLOSE_NORMAL);
    else forwardClose(far, code, reason);
    forwardClose(near, code, "");
  }
}
