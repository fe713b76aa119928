import type { Counts } from "../../audit/events.ts";
import { CloseCode, closeQuietly, forwardClose } from "../../common/close-codes.ts";
import type { Status } from "../../kubernetes/status.ts";
import type { Chunk } from "../protocols/chunk.ts";
import { decodeMessage, type Framing, type MessagePart, PartDecoder, sizeOf } from "../protocols/framing.ts";
import type { Notice, Observation, Observer } from "../protocols/observer.ts";
import type { CloseCause, Closure, Side } from "../session/close-cause.ts";
import { stalledLimit, stdinLimit, type WaitsFor } from "../session/limits.ts";
import type { LegClose, LegReceiver, UpstreamLeg } from "../upstream/leg.ts";
import { Liveness, LOST_AFTER_MS } from "../upstream/liveness.ts";
import { onSocketEnd } from "../websocket/socket-end.ts";
import { Brake, type Clock, type PauseInput } from "./brake.ts";
import { ClientInput } from "./client-input.ts";
import { ClientWriter, MAX_UNSENT_BYTES } from "./client-writer.ts";
import { LEAST_WORK_FROM_CLUSTER, MessageBudget } from "./message-budget.ts";
import type { HeldBytes } from "./step-queue.ts";
import { type InputBuffer, UpstreamWriter } from "./upstream-writer.ts";

/**
 * The largest message of the cluster's that is put together, where it must stay whole. The platform sends up
 * to 32 MiB, but text of that size would take all of the object's memory: as bytes, as a string, and as what
 * is sent.
 */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

const MAX_EMPTY_MESSAGES = 65_536;
/** Lines of Sallyport's that wait for the end of a message of the cluster's. */
const MAX_NOTICES = 16;

/** Takes a session's chunks beside those whom they are for. It never throws, and never changes a chunk. */
export interface ShownTo {
  fromClient(chunk: Chunk, now: number): void;
  fromUpstream(chunk: Chunk, now: number): void;
  /** Makes what it has durable. */
  flush(now: number): void;
}

export interface RelayParts {
  readonly client: WebSocket;
  readonly leg: UpstreamLeg;
  readonly framing: Framing;
  readonly observer: Observer;
  /** Takes what the session shows. Absent where it has no screen. */
  readonly cast: ShownTo | undefined;
  readonly inputBuffer: InputBuffer;
  readonly maxBufferedStdinBytes: number;
  /** The largest message that the client takes, where the message is ours to cut. */
  readonly maxClientMessageBytes: number;
  readonly pauseInput: PauseInput;
  readonly clock: Clock;
  /** Of the messages of all sessions that are handled in pieces. */
  readonly heldInput: HeldBytes;
  /** Of what was stored of all sessions while they were held. */
  readonly storedInput: HeldBytes;
  /** When the session began, ms since the epoch. It counts as used then. */
  readonly startedAt: number;
  /** The cluster has said how the command ended. Called once, before the client hears of it. */
  readonly onFinalStatus: (status: Status) => void;
  /** The object's storage did not take input that waits. The session cannot go on, which is told after it. */
  readonly onInputNotStored: (error: unknown) => void;
  /** The session cannot go on. */
  readonly onMustClose: (cause: CloseCause) => void;
  /** Nor can it after a fault of Sallyport's own. @param error what was thrown */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Joins a client with the cluster: passes bytes on until one side closes or `close` is called. Messages keep
 * their borders unless the framing says that a border carries no meaning. It decides nothing about the
 * session but that it cannot go on.
 */
export class Relay implements LegReceiver {
  readonly #parts: RelayParts;
  readonly #toClient: ClientWriter;
  readonly #toCluster: UpstreamWriter;
  readonly #decoder: PartDecoder;
  /** For a cluster that cannot be told to wait. */
  readonly #clientBrake: Brake;
  readonly #clusterBudget: MessageBudget;
  readonly #input: ClientInput;
  readonly #counts = { bytes_in: 0, bytes_out: 0, messages_in: 0, messages_out: 0 };
  readonly #liveness: Liveness;
  #activeAt: number;
  #isOpen = false;
  #clientIsGone = false;
  #hasFinalStatus = false;
  #emptyMessages = 0;
  /** Whether the cluster is within a message. */
  #isWithinMessage = false;
  readonly #notices: (Uint8Array<ArrayBuffer> | string)[] = [];

  constructor(parts: RelayParts) {
    const { client, leg, framing, inputBuffer, maxBufferedStdinBytes, pauseInput, clock } = parts;
    this.#parts = parts;
    this.#toClient = new ClientWriter(client, parts.maxClientMessageBytes, clock);
    this.#toCluster = new UpstreamWriter({
      leg,
      framing,
      buffer: inputBuffer,
      maxBufferedBytes: maxBufferedStdinBytes,
      heldByAll: parts.storedInput,
      pauseInput,
      clock,
      onOverflow: (overflow) => {
        if (overflow.kind === "storage") parts.onInputNotStored(overflow.error);
        this.#mustClose({ kind: "limit", limit: stdinLimit(overflow.kind, maxBufferedStdinBytes) });
      },
    });
    this.#input = new ClientInput({
      framing,
      toCluster: this.#toCluster,
      pauseInput,
      clock,
      heldByAll: parts.heldInput,
      observe: (chunk) => this.#mayPass(parts.observer.fromClient(chunk)),
      parsedFrames: () => parts.observer.parsedFrames ?? 0,
      record: parts.cast && ((chunk) => parts.cast?.fromClient(chunk, clock.now())),
      onFailure: (error) => this.onFailure(error),
    });
    this.#decoder = new PartDecoder(framing, MAX_MESSAGE_BYTES, {
      onStream: (chunk) => this.#takeStream(chunk),
      onMessage: (message, chunk) => this.#takeMessage(message, chunk),
      onViolation: (violation) => this.#violated(violation),
    });
    this.#clientBrake = new Brake(pauseInput, clock);
    this.#clusterBudget = new MessageBudget(pauseInput, clock, LEAST_WORK_FROM_CLUSTER);
    // Not since the session began: it may have taken long until here.
    this.#liveness = new Liveness(clock.now());
    this.#activeAt = parts.startedAt;
  }

  get counts(): Counts {
    return { ...this.#counts };
  }

  /** When the session was last used, ms since the epoch. */
  get activeAt(): number {
    return this.#activeAt;
  }

  get observer(): Observer {
    return this.#parts.observer;
  }

  /** Bytes that the client has not taken. They stay in memory until it takes them or leaves. */
  get unsentBytes(): number {
    return this.#clientIsGone ? 0 : this.#toClient.unsentBytes;
  }

  /** What is in memory because a side has not taken it, or has not sent the rest of its message. */
  get waitingBytes(): number {
    const { client, cluster, message } = this.#waiting;
    return client + cluster + message;
  }

  /** What most of `waitingBytes` waits for. */
  get waitsFor(): WaitsFor {
    const { client, cluster, message } = this.#waiting;
    if (message > client && message > cluster) return "message";
    return client >= cluster ? "client" : "cluster";
  }

  get #waiting(): Readonly<Record<WaitsFor, number>> {
    return {
      client: (this.#clientIsGone ? 0 : this.#toClient.heldBytes) + (this.#parts.leg.heldOutputBytes ?? 0),
      cluster: this.#input.heldBytes,
      message: this.#decoder.heldBytes,
    };
  }

  /** The side that has taken nothing for that long although something waits for it, if any. */
  stalledReader(stallTimeoutMs: number): Side | undefined {
    if (this.#parts.leg.isHeld) this.#toClient.excuseStall();
    if (this.#toClient.stalledMs() >= stallTimeoutMs) return "client";
    return this.#toCluster.stalledMs() >= stallTimeoutMs ? "cluster" : undefined;
  }

  /** Accepts the client's socket and starts to relay. Nothing flows before. */
  start(): void {
    const { client, leg } = this.#parts;
    this.#isOpen = true;
    // Otherwise binary messages arrive as Blobs, which can only be read asynchronously.
    client.binaryType = "arraybuffer";
    client.addEventListener("message", ({ data }) => this.#fromClient(data as ArrayBuffer | string));
    client.addEventListener("error", () => this.#clientLeft());
    onSocketEnd(client, (code, reason) => this.#clientClosed(code, reason));
    // Half-open: we send the answering close frame, after the cluster has its close.
    client.accept({ allowHalfOpen: true });
    leg.start(this);
  }

  /** To be called every second or so. @param now ms since the epoch */
  tick(now: number): void {
    if (!this.#isOpen) return;
    const { leg } = this.#parts;
    // Whoever reads slowly, or has sent much, still uses the session.
    const isInputWaiting = this.#input.isWaiting;
    if (this.unsentBytes > 0 || isInputWaiting) this.#activeAt = now;
    if (!leg.hasBackpressure) return;
    const canBeHeard = !this.#toClient.isFull && !isInputWaiting && !leg.isHeld;
    const action = this.#liveness.tick(now, { canBeHeard, sentBytes: leg.sentBytes });
    if (action?.kind === "ping") {
      // Whoever had taken everything before our ping is not stalled because of it.
      this.#toCluster.stalledMs();
      leg.ping(action.payload);
    }
    if (action?.kind === "lost") {
      this.#mustClose({ kind: "cluster", code: CloseCode.abnormal, reason: `no answer for ${LOST_AFTER_MS / 1000} s` });
    }
  }

  /**
   * Shows the client a line of Sallyport's, and whoever sees its output: between whole messages of the
   * cluster's, so that none is cut in two, unless the rest of one is held. It is no traffic, and no use.
   *
   * @returns whether the session can show it
   */
  notify(notice: Notice): boolean {
    const frames = this.#isOpen ? (this.observer.noticeFrames?.(notice) ?? []) : [];
    if (frames.length === 0 || this.#notices.length >= MAX_NOTICES) return false;
    this.#notices.push(...frames);
    if (!this.#isWithinMessage || this.#parts.leg.isHeld) this.#sendNotices();
    return true;
  }

  /** Ends both sides as `closure` says. Nothing is relayed after. */
  close({ toClient, toCluster }: Closure): void {
    if (!this.#isOpen) return;
    this.#toClient.flush();
    this.#input.flush();
    this.#isOpen = false;
    this.#toClient.end();
    this.#input.end();
    forwardClose(this.#parts.leg, toCluster.code, toCluster.reason);
    const { client } = this.#parts;
    if (toClient.message === undefined) forwardClose(client, toClient.code, toClient.reason);
    else this.#sayGoodbye(toClient.message);
  }

  onPart(part: MessagePart): void {
    if (!this.#isOpen) return;
    this.#liveness.heard(this.#parts.clock.now(), this.#parts.leg.sentBytes);
    this.#counts.bytes_out += part.bytes.length;
    this.#input.answered();
    if (part.isLast) this.#counts.messages_out++;
    this.#decoder.push(part);
    this.#isWithinMessage = !part.isLast;
    if (part.isLast && this.#notices.length > 0) this.#sendNotices();
    if (!this.#parts.leg.hasBackpressure) this.#clusterBudget.count(0);
    if (this.#toClient.isMeasured && this.#parts.leg.hasBackpressure) return;
    this.#clientBrake.apply(
      () => (this.#toClient.isMeasured ? this.unsentBytes : 0),
      () => this.#parts.clock.sleep(1),
    );
    if (this.unsentBytes > MAX_UNSENT_BYTES) this.#mustClose({ kind: "limit", limit: stalledLimit("client") });
  }

  onPause(): void {
    this.#toClient.flush();
  }

  onPong(payload: Uint8Array): void {
    this.#liveness.answered(this.#parts.clock.now(), payload);
  }

  onClose({ code, reason }: LegClose): void {
    this.#closedBy("cluster", code, reason);
  }

  onFailure(error: unknown): void {
    if (this.#isOpen) this.#parts.onFailure(error);
  }

  whenRoom(): Promise<void> | undefined {
    return this.#isOpen ? this.#toClient.whenRoom() : undefined;
  }

  #sendNotices(): void {
    const { framing, cast, clock } = this.#parts;
    for (const frame of this.#notices.splice(0)) {
      // The command may have ended while it waited.
      if (!this.#isOpen || this.observer.finalStatus()) return;
      cast?.fromUpstream(decodeMessage(framing, frame), clock.now());
      this.#toClient.send(frame);
    }
  }

  #fromClient(message: ArrayBuffer | string): void {
    if (!this.#isOpen) return;
    this.#counts.messages_in++;
    this.#counts.bytes_in += sizeOf(message);
    this.#input.take(message);
  }

  #takeStream(chunk: Chunk): void {
    if (this.#observeUpstream(chunk)) this.#toClient.append(chunk.channel, chunk.payload);
  }

  #takeMessage(message: Uint8Array | string, chunk: Chunk): void {
    if (!this.#observeUpstream(chunk)) return;
    this.#noteFinalStatus();
    if (!this.#mayFollow(chunk.size)) return;
    this.#toClient.send(message);
  }

  /** The runtime counts bytes that wait for the client: messages without any would wait in any number. */
  #mayFollow(size: number): boolean {
    this.#emptyMessages = size === 0 ? this.#emptyMessages + 1 : 0;
    if (this.#emptyMessages <= MAX_EMPTY_MESSAGES) return true;
    this.#violated("the cluster sent too many empty messages in a row");
    return false;
  }

  /** A crash must not lose it: what the object writes is durable before anything that it sends leaves. */
  #noteFinalStatus(): void {
    const status = this.#hasFinalStatus ? undefined : this.observer.finalStatus();
    if (!status) return;
    this.#hasFinalStatus = true;
    this.#parts.cast?.flush(this.#parts.clock.now());
    this.#parts.onFinalStatus(status);
  }

  /** @returns whether the chunk may go to the client */
  #observeUpstream(chunk: Chunk): boolean {
    if (!this.#isOpen || !this.#mayPass(this.observer.fromUpstream(chunk))) return false;
    this.#parts.cast?.fromUpstream(chunk, this.#parts.clock.now());
    return true;
  }

  #mayPass(observation: Observation): boolean {
    if (observation === "use") this.#activeAt = this.#parts.clock.now();
    if (typeof observation === "string") return true;
    this.#violated(observation.violation);
    return false;
  }

  #violated(what: string): void {
    this.#mustClose({ kind: "limit", limit: { outcome: "protocol_error", message: `session ended: ${what}` } });
  }

  #mustClose(cause: CloseCause): void {
    if (this.#isOpen) this.#parts.onMustClose(cause);
  }

  /**
   * What the client sent before its close frame reaches the cluster before the close does, however late the
   * cluster takes it: a session that is closing has the same limits as any. A client that vanished ends its
   * session at once.
   */
  #clientClosed(code: number, reason: string): void {
    if (code === CloseCode.abnormal) this.#clientLeft();
    this.#input.flush();
    const isInputWanted =
      code !== CloseCode.abnormal && this.observer.finalStatus() === undefined && !this.#parts.leg.isHeld;
    if (isInputWanted && this.#input.isWaiting) void this.#closeOnceTaken(code, reason);
    else this.#closedByClient(code, reason);
  }

  /** Nobody reads any more: a leg that waits for room must go on. */
  #clientLeft(): void {
    this.#clientIsGone = true;
    this.#toClient.end();
  }

  async #closeOnceTaken(code: number, reason: string): Promise<void> {
    await this.#input.whenAllTaken();
    this.#closedByClient(code, reason);
  }

  #closedByClient(code: number, reason: string): void {
    this.#clientIsGone = true;
    this.#closedBy("client", code, reason);
  }

  #closedBy(side: Side, code: number, reason: string): void {
    if (!this.#isOpen) return;
    const status = this.observer.finalStatus(side === "cluster" ? code : undefined);
    this.#mustClose(status ? { kind: "command", status, side, code, reason } : { kind: side, code, reason });
  }

  /** Shows the client `message` in the terms of its protocol, and closes. */
  #sayGoodbye(message: string): void {
    const { client, observer } = this.#parts;
    for (const frame of observer.goodbyeFrames(message)) this.#toClient.send(frame);
    if (observer.messageInCloseReason) closeQuietly(client, CloseCode.goingAway, message);
    else if (observer.lingerMs > 0) setTimeout(() => closeQuietly(client, CloseCode.normal), observer.lingerMs);
    else closeQuietly(client, CloseCode.normal);
  }
}
