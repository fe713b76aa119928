import { BackpressuredSender } from "./backpressured-sender.ts";
import { FrameMerger } from "./frame-merger.ts";
import type { Message } from "./protocols/framing.ts";

type Sendable = ArrayBuffer | Uint8Array<ArrayBuffer> | string;

const CLOCK = { now: () => Date.now(), sleep: (ms: number) => scheduler.wait(ms) };

/** One direction of a relayed session: merges frames, and applies back-pressure to a slow reader. */
export class Pipe {
  readonly #sender: BackpressuredSender;
  readonly #merger: FrameMerger;
  readonly #onOverflow: () => void;

  /**
   * @param pauseInput see `BackpressuredSender`
   * @param onOverflow a message was not sent, because the reader has left too much unread
   */
  constructor(reader: WebSocket, pauseInput: (until: () => Promise<void>) => void, onOverflow: () => void) {
    this.#sender = new BackpressuredSender(reader, pauseInput, CLOCK);
    this.#merger = new FrameMerger((message) => this.#sendNow(message));
    this.#onOverflow = onOverflow;
  }

  /** Bytes that were sent and that the reader has not taken. */
  get unsentBytes(): number {
    return this.#sender.unsentBytes;
  }

  /** See `BackpressuredSender.stalledMs`. */
  stalledMs(): number {
    return this.#sender.stalledMs();
  }

  /**
   * Passes a message on: now, or merged with the next ones of its channel very soon.
   *
   * @param channel undefined where the message must stay as it is
   */
  send(message: Message, channel: number | undefined): void {
    if (channel !== undefined && typeof message !== "string") this.#merger.push(channel, message);
    else this.sendUnmerged(message);
  }

  /** Passes a message on as it is, after everything before it. */
  sendUnmerged(message: Sendable): void {
    this.#merger.flush();
    this.#sendNow(message);
  }

  /** Sends what waits to be merged. To be called before the reader is closed. */
  flush(): void {
    this.#merger.flush();
  }

  #sendNow(message: Sendable): void {
    if (!this.#sender.send(message)) this.#onOverflow();
  }
}
