import type { Chunk } from "../protocols/chunk.ts";
import { decodeMessage, type Framing, isOfStream, type Message } from "../protocols/framing.ts";
import type { Clock, PauseInput } from "./brake.ts";
import { FrameMerger } from "./frame-merger.ts";
import { MessageBudget } from "./message-budget.ts";
import { PIECE_BYTES, splitMessage } from "./split-message.ts";
import { type HeldBytes, StepQueue, type Steps } from "./step-queue.ts";
import type { UpstreamWriter } from "./upstream-writer.ts";

export interface ClientInputParts {
  readonly framing: Framing;
  readonly toCluster: UpstreamWriter;
  readonly pauseInput: PauseInput;
  readonly clock: Clock;
  /** Of all sessions of the object. */
  readonly heldByAll: HeldBytes;
  /** @returns whether the message may pass on */
  readonly observe: (chunk: Chunk) => boolean;
  /** What it took to parse a protocol inside the last observed chunk, in frames. */
  readonly parsedFrames: () => number;
  /** Given whole messages, and the payload of large ones in parts. Absent where nothing is recorded. */
  readonly record: ((chunk: Chunk) => void) | undefined;
  /** A fault of Sallyport's own. Nothing more is passed on. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * What a client sends, on its way through the observer and the recorder to the cluster: in order, and with a
 * bounded amount of work in each turn of the event loop, however large or however many the messages are.
 */
export class ClientInput {
  readonly #parts: ClientInputParts;
  readonly #budget: MessageBudget;
  readonly #merger: FrameMerger;
  /** Messages from a large one on, which is handled in pieces. */
  readonly #queue: StepQueue;

  constructor(parts: ClientInputParts) {
    const { toCluster, pauseInput, clock, heldByAll } = parts;
    this.#parts = parts;
    this.#budget = new MessageBudget(pauseInput, clock);
    this.#merger = new FrameMerger(
      (message) => toCluster.send(message),
      () => this.#budget.isBusy,
    );
    this.#queue = new StepQueue(clock, heldByAll, () => toCluster.whenRoom(), parts.onFailure);
  }

  /** Bytes that are in memory because they were not handled or not taken yet. */
  get heldBytes(): number {
    return this.#queue.heldBytes + this.#parts.toCluster.unsentBytes;
  }

  /** Whether anything is known to wait, wherever. */
  get isWaiting(): boolean {
    return !this.#queue.isEmpty || this.#parts.toCluster.isWaiting;
  }

  take(message: Message): void {
    const length = typeof message === "string" ? message.length : message.byteLength;
    try {
      if (length > PIECE_BYTES || !this.#queue.isEmpty) this.#queue.push(this.#takeInPieces(message), length);
      else this.#takeWhole(message);
    } catch (error) {
      this.#parts.onFailure(error);
    }
    this.#budget.count(Math.min(length, PIECE_BYTES), this.#parts.parsedFrames());
  }

  /** The cluster has sent something. */
  answered(): void {
    this.#budget.answered();
  }

  /** Sends what waits to be merged. */
  flush(): void {
    this.#merger.flush();
  }

  /** Resolves when the cluster has taken everything, or the session is over. */
  async whenAllTaken(): Promise<void> {
    await this.#queue.whenEmpty();
    this.#merger.flush();
    await this.#parts.toCluster.whenAllTaken();
  }

  /** The session is over: what waits will never be sent. */
  end(): void {
    this.#queue.end();
    this.#parts.toCluster.end();
  }

  #takeWhole(message: Message): void {
    const chunk = decodeMessage(this.#parts.framing, message);
    if (!this.#parts.observe(chunk)) return;
    this.#parts.record?.(chunk);
    this.#pass(message, chunk);
  }

  /** Of a message that must stay whole, only the recorder takes pieces. */
  *#takeInPieces(message: Message): Steps {
    const { framing, observe, record } = this.#parts;
    if (!observe(decodeMessage(framing, message))) return;
    for (const piece of splitMessage(framing, message)) {
      const chunk = decodeMessage(framing, piece);
      if (record && framing.kind === "messages") yield* inParts(chunk, record);
      else record?.(chunk);
      this.#pass(piece, chunk);
      yield;
    }
  }

  #pass(message: Message, chunk: Chunk): void {
    const { channel } = chunk;
    if (typeof message !== "string" && channel !== undefined && isOfStream(this.#parts.framing, chunk)) {
      this.#merger.push(channel, message);
    } else {
      this.#merger.flush();
      this.#parts.toCluster.send(message);
    }
  }
}

function* inParts({ channel, isText, payload }: Chunk, record: (part: Chunk) => void): Steps {
  for (let at = 0; at < payload.length; at += PIECE_BYTES) {
    const part = payload.subarray(at, at + PIECE_BYTES);
    record({ channel, isText, size: part.length, payload: part });
    yield;
  }
}
