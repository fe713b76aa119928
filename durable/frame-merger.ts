/**
 * Joins consecutive frames of one channel while they come thick and fast: what a relayed message costs hardly depends
 * on its size, and per channel the frames form a byte stream whose borders carry no meaning.
 *
 * A small frame with nothing before it passes at once, so that a keystroke and its echo wait for nothing.
 */

/** A message grows no larger. The reader's own buffers gain nothing from more. */
const MOST_BYTES = 128 * 1024;
/** A frame below this is a person's doing, or the end of something: not worth a wait. */
const BULK_BYTES = 4 * 1024;

export class FrameMerger {
  readonly #send: (message: ArrayBuffer | Uint8Array<ArrayBuffer>) => void;
  #frames: ArrayBuffer[] = [];
  #bytes = 0;
  #channel = 0;
  #timer = false;

  constructor(send: (message: ArrayBuffer | Uint8Array<ArrayBuffer>) => void) {
    this.#send = send;
  }

  /** Takes a binary frame that has a channel byte and a payload. It is sent now or, with others, very soon. */
  push(channel: number, frame: ArrayBuffer): void {
    const { byteLength } = frame;
    if (this.#bytes > 0 && (channel !== this.#channel || this.#bytes + byteLength > MOST_BYTES)) this.flush();
    if (this.#bytes === 0 && (byteLength < BULK_BYTES || byteLength >= MOST_BYTES)) {
      this.#send(frame);
      return;
    }
    this.#frames.push(frame);
    this.#bytes += byteLength;
    this.#channel = channel;
    this.#flushSoon();
  }

  /** To be called before anything else is sent on the same socket, a close included. */
  flush(): void {
    const frames = this.#frames;
    const [only] = frames;
    if (!only) return;
    const message = frames.length === 1 ? only : join(this.#channel, frames, this.#bytes);
    this.#frames = [];
    this.#bytes = 0;
    this.#send(message);
  }

  /** The next turn of the event loop, a millisecond at most: one timer at a time, whatever the number of frames. */
  #flushSoon(): void {
    if (this.#timer) return;
    this.#timer = true;
    setTimeout(() => {
      this.#timer = false;
      this.flush();
    }, 0);
  }
}

function join(channel: number, frames: readonly ArrayBuffer[], bytes: number): Uint8Array<ArrayBuffer> {
  // A fresh one each time: the runtime sends from this memory, after send() has returned.
  const message = new Uint8Array(bytes - frames.length + 1);
  message[0] = channel;
  let at = 1;
  for (const frame of frames) {
    message.set(new Uint8Array(frame, 1), at);
    at += frame.byteLength - 1;
  }
  return message;
}
