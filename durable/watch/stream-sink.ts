import { FULL_BYTES, type WatchSink } from "./watch-sink.ts";

/** The body of an answer, as lines. */
export class StreamSink implements WatchSink {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #sentBytes = 0;
  readonly #encoder = new TextEncoder();

  /** @param onGone called once the reader has left */
  constructor(onGone: () => void) {
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => {
          this.#controller = undefined;
          onGone();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: FULL_BYTES }),
    );
  }

  get unsentBytes(): number {
    return FULL_BYTES - (this.#controller?.desiredSize ?? FULL_BYTES);
  }

  get takenBytes(): number {
    return this.#sentBytes - this.unsentBytes;
  }

  send(text: string, bytes: number): void {
    this.#sentBytes += bytes;
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  close(_message: string, canReturn: boolean): void {
    const controller = this.#controller;
    this.#controller = undefined;
    // Whoever was dropped must not take what it has for all.
    if (canReturn) controller?.error(new Error("the watcher stopped reading"));
    else controller?.close();
  }
}
