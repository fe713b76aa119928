/**
 * Merges consecutive frames of one channel while many arrive: the cost of a relayed message hardly depends on
 * its size, and the frames of a channel form a byte stream whose borders carry no meaning.
 *
 * A small frame passes at once if no other waits, so that a keystroke and its echo are not delayed. In a
 * flood of small ones they are merged too: each would cost the cluster as much as a large one.
 */

/** A merged message grows no larger. The reader's own buffers gain nothing from more. */
const MAX_MERGED_BYTES = 128 * 1024;
/** A smaller frame is somebody typing, or the end of something, and is not delayed. */
const BULK_BYTES = 4 * 1024;
/** A frame costs memory beside its bytes. */
const MAX_FRAMES = 1_024;

export class FrameMerger {
  readonly #send: (message: ArrayBuffer | Uint8Array<ArrayBuffer>) => void;
  readonly #isFlooded: () => boolean;
  #frames: ArrayBuffer[] = [];
  #bytes = 0;
  #channel = 0;
  #hasTimer = false;

  /** @param isFlooded whether frames come faster than anybody types */
  constructor(send: (message: ArrayBuffer | Uint8Array<ArrayBuffer>) => void, isFlooded: () => boolean) {
    this.#send = send;
    this.#isFlooded = isFlooded;
  }

  /** Takes a binary frame with a channel byte and a payload. Sends it now, or merged with others soon. */
  push(channel: number, frame: ArrayBuffer): void {
    const { byteLength } = frame;
    if (this.#bytes > 0 && (channel !== this.#channel || this.#bytes + byteLength > MAX_MERGED_BYTES)) this.flush();
    const isAlone = byteLength >= MAX_MERGED_BYTES || (byteLength < BULK_BYTES && !this.#isFlooded());
    if (this.#bytes === 0 && isAlone) {
      this.#send(frame);
      return;
    }
    this.#frames.push(frame);
    this.#bytes += byteLength;
    this.#channel = channel;
    if (this.#frames.length >= MAX_FRAMES) this.flush();
    else this.#flushSoon();
  }

  /** Sends what waits. To be called before anything else is sent on the same socket, a close included. */
  flush(): void {
    const frames = this.#frames;
    const [only] = frames;
    if (!only) return;
    const message = frames.length === 1 ? only : mergeFrames(this.#channel, frames, this.#bytes);
    this.#frames = [];
    this.#bytes = 0;
    this.#send(message);
  }

  /** In the next turn of the event loop, a millisecond at most. There is one timer for all frames. */
  #flushSoon(): void {
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    setTimeout(() => {
      this.#hasTimer = false;
      this.flush();
    }, 0);
  }
}

function mergeFrames(channel: number, frames: readonly ArrayBuffer[], bytes: number): Uint8Array<ArrayBuffer> {
  // Never reused: the runtime sends from this memory after send() has returned.
  const message = new Uint8Array(bytes - frames.length + 1);
  message[0] = channel;
  let at = 1;
  for (const frame of frames) {
    message.set(new Uint8Array(frame, 1), at);
    at += frame.byteLength - 1;
  }
  return message;
}
