import { BackpressuredSender } from "./backpressured-sender.ts";
import { FrameMerger } from "./frame-merger.ts";
import type { Message } from "./protocols/observer.ts";

type Sendable = ArrayBuffer | Uint8Array<ArrayBuffer> | string;

const CLOCK = { now: () => Date.now(), sleep: (ms: number) => scheduler.wait(ms) };

/** One direction of a relayed session: joins what may be joined, and holds up its sender when its reader is slow. */
export class Pipe {
  readonly #outlet: BackpressuredSender;
  readonly #merger: FrameMerger;
  readonly #streamOf: (message: Message) => number | undefined;
  readonly #onOverflow: () => void;

  /**
   * @param hold see `Outlet`
   * @param streamOf see `Observer.streamOf`
   * @param onOverflow the reader has left more unread than may be queued for it: a message was not sent
   */
  constructor(
    reader: WebSocket,
    hold: (until: () => Promise<void>) => void,
    streamOf: (message: Message) => number | undefined,
    onOverflow: () => void,
  ) {
    this.#outlet = new BackpressuredSender(reader, hold, CLOCK);
    this.#merger = new FrameMerger((message) => this.#give(message));
    this.#streamOf = streamOf;
    this.#onOverflow = onOverflow;
  }

  /** Bytes that the reader has been given and not taken. */
  get unsentBytes(): number {
    return this.#outlet.unsentBytes;
  }

  /** See `Outlet.stalledMs`. */
  stalledMs(): number {
    return this.#outlet.stalledMs();
  }

  /** Passes a message on: now, or joined with its next ones very soon. */
  send(message: Message): void {
    const channel = this.#streamOf(message);
    if (channel !== undefined && typeof message !== "string") this.#merger.push(channel, message);
    else this.sendUnmerged(message);
  }

  /** Passes a message on as it is, after all before it. */
  sendUnmerged(message: Sendable): void {
    this.#merger.flush();
    this.#give(message);
  }

  /** Sends what waits to be joined: to be called before the reader is closed. */
  flush(): void {
    this.#merger.flush();
  }

  #give(message: Sendable): void {
    if (!this.#outlet.send(message)) this.#onOverflow();
  }
}
