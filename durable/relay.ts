import type { Counts } from "../audit/events.ts";
import { CLOSE_GOING_AWAY, CLOSE_NORMAL, closeQuietly, forwardClose } from "./close-codes.ts";
import type { HangUp } from "./outcome.ts";
import { Pipe } from "./pipe.ts";
import type { Chunk } from "./protocols/chunk.ts";
import { decodeMessage, type Framing, isOfStream, type Message, sizeOf } from "./protocols/framing.ts";
import type { Observation, Observer } from "./protocols/observer.ts";
import type { LiveRecording } from "./recording/live-recording.ts";

export interface RelayParts {
  readonly client: WebSocket;
  readonly upstream: WebSocket;
  readonly framing: Framing;
  readonly observer: Observer;
  readonly recording: LiveRecording | undefined;
  /** Delays the object's other events until the promise settles; see `BackpressuredSender`. */
  readonly pauseInput: (until: () => Promise<void>) => void;
  /** When the session began, ms since the epoch. It counts as used then. */
  readonly startedAt: number;
  readonly onHangUp: (hangUp: HangUp) => void;
  /** What a side sent must not be passed on, see `Observation`; nothing more is relayed. */
  readonly onViolation: (violation: string) => void;
  /** A reader has left too much unread; nothing more can be relayed. */
  readonly onOverflow: (reader: HangUp["side"]) => void;
}

/**
 * Joins two WebSockets: passes messages on unchanged until one side closes or `end` is called. It keeps their
 * kind, and their borders unless the framing says that a border carries no meaning. It makes no decision
 * about the session.
 */
export class Relay {
  readonly #client: WebSocket;
  readonly #upstream: WebSocket;
  readonly #framing: Framing;
  readonly #observer: Observer;
  readonly #recording: LiveRecording | undefined;
  readonly #toClient: Pipe;
  readonly #toUpstream: Pipe;
  readonly #onHangUp: RelayParts["onHangUp"];
  readonly #onViolation: RelayParts["onViolation"];
  readonly #counts = { bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0 };
  #activeAt: number;
  #joined = false;
  #clientGone = false;

  constructor(parts: RelayParts) {
    this.#client = parts.client;
    this.#upstream = parts.upstream;
    this.#framing = parts.framing;
    this.#observer = parts.observer;
    this.#recording = parts.recording;
    const pipeTo = (reader: HangUp["side"]) =>
      new Pipe(parts[reader], parts.pauseInput, () => this.#joined && parts.onOverflow(reader));
    this.#toClient = pipeTo("client");
    this.#toUpstream = pipeTo("upstream");
    this.#activeAt = parts.startedAt;
    this.#onHangUp = parts.onHangUp;
    this.#onViolation = parts.onViolation;
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

  /** Bytes that the client has not taken. They stay in memory until it takes them or leaves. */
  get unsentBytes(): number {
    return this.#clientGone ? 0 : this.#toClient.unsentBytes;
  }

  /** Bytes that either side has not taken. */
  get waitingBytes(): number {
    return this.unsentBytes + this.#toUpstream.unsentBytes;
  }

  /** The side for which more bytes wait. */
  get slowerReader(): HangUp["side"] {
    return this.#toClient.unsentBytes >= this.#toUpstream.unsentBytes ? "client" : "upstream";
  }

  /** The side that has taken nothing for that long although something waits for it, if any. */
  stalledReader(stallTimeoutMs: number): HangUp["side"] | undefined {
    if (this.#toClient.stalledMs() >= stallTimeoutMs) return "client";
    return this.#toUpstream.stalledMs() >= stallTimeoutMs ? "upstream" : undefined;
  }

  /** Accepts both sockets and starts to relay. Nothing flows before. */
  join(): void {
    this.#joined = true;
    this.#listen("client", this.#client, (message) => this.#fromClient(message));
    this.#listen("upstream", this.#upstream, (message) => this.#fromUpstream(message));
    // Half-open: we send the answering close frame, after the other side has its close.
    this.#client.accept({ allowHalfOpen: true });
    this.#upstream.accept({ allowHalfOpen: true });
  }

  /** Shows the client `message` in the terms of its protocol, and closes both sides. */
  end(message: string): void {
    if (!this.#joined) return;
    this.#joined = false;
    this.#flush();
    closeQuietly(this.#upstream, CLOSE_GOING_AWAY, message);
    const { lingerMs, messageInCloseReason } = this.#observer;
    for (const frame of this.#observer.goodbyeFrames(message)) this.#toClient.sendUnmerged(frame);
    if (messageInCloseReason) closeQuietly(this.#client, CLOSE_GOING_AWAY, message);
    else if (lingerMs > 0) setTimeout(() => closeQuietly(this.#client, CLOSE_NORMAL), lingerMs);
    else closeQuietly(this.#client, CLOSE_NORMAL);
  }

  #flush(): void {
    this.#toClient.flush();
    this.#toUpstream.flush();
  }

  #listen(side: HangUp["side"], socket: WebSocket, onMessage: (message: Message) => void): void {
    // Otherwise binary messages arrive as Blobs, which can only be read asynchronously.
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", (event) => onMessage(event.data as Message));
    socket.addEventListener("close", (event) => this.#hungUp(side, event.code, event.reason));
    // The event has no details worth keeping.
    socket.addEventListener("error", () => this.#hungUp(side, 1006, ""));
  }

  #fromClient(message: Message): void {
    if (!this.#joined) return;
    this.#counts.messages_in++;
    this.#counts.bytes_in += sizeOf(message);
    const chunk = decodeMessage(this.#framing, message);
    if (!this.#heed(this.#observer.fromClient(chunk))) return;
    this.#recording?.fromClient(chunk, Date.now());
    this.#toUpstream.send(message, this.#streamOf(chunk));
  }

  #fromUpstream(message: Message): void {
    if (!this.#joined) return;
    this.#counts.messages_out++;
    this.#counts.bytes_out += sizeOf(message);
    const chunk = decodeMessage(this.#framing, message);
    if (!this.#heed(this.#observer.fromUpstream(chunk))) return;
    this.#recording?.fromUpstream(chunk, Date.now());
    this.#toClient.send(message, this.#streamOf(chunk));
  }

  #streamOf(chunk: Chunk): number | undefined {
    return isOfStream(this.#framing, chunk) ? chunk.channel : undefined;
  }

  /** @returns whether what was observed may be passed on */
  #heed(observation: Observation): boolean {
    if (observation === "use") this.#activeAt = Date.now();
    if (typeof observation === "string") return true;
    this.#onViolation(observation.violation);
    return false;
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
    // The cluster had already sent its Status. With a code other than 1000, kubectl discards it and fails.
    if (wasLost) closeQuietly(far, CLOSE_NORMAL);
    else forwardClose(far, code, reason);
    forwardClose(near, code, "");
  }
}
