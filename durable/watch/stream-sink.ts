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

  end(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  drop(message: string): void {
    this.#controller?.error(new Error(message));
    this.#controller = undefined;
  }
}
