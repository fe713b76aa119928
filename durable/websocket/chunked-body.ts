import { BoundedBuffer } from "../../common/bounded-buffer.ts";

/** A chunk's size in hexadecimal digits, and extensions, which are skipped. */
const SIZE_LINE = /^([0-9a-f]{1,8})[\t ]*(?:;.*)?\r?$/i;
/** The API server writes no extensions. */
const MAX_SIZE_LINE_BYTES = 256;
const LINE_FEED = 10;
/** CR LF after a chunk's data. */
const END_OF_CHUNK_BYTES = 2;

/**
 * Takes the data out of a chunked body (RFC 9112, section 7.1) as it arrives. Trailers are not read; where
 * the framing breaks, what was read before is the body.
 *
 * Each byte is read once, whatever the pieces: a server may send them one by one.
 */
export class ChunkedBody {
  readonly #sizeLine = new BoundedBuffer(MAX_SIZE_LINE_BYTES);
  /** Of the chunk that is being read: its data, and the end of it. Both are 0 while its size is read. */
  #dataBytes = 0;
  #endBytes = 0;
  #isComplete = false;

  /** Whether the last chunk was seen, or the framing is broken. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** @returns the data in the next bytes of the body, as views of them */
  push(bytes: Uint8Array): Uint8Array[] {
    const data: Uint8Array[] = [];
    for (let rest = bytes; rest.length > 0 && !this.#isComplete; ) {
      if (this.#dataBytes > 0) {
        const piece = rest.subarray(0, this.#dataBytes);
        this.#dataBytes -= piece.length;
        data.push(piece);
        rest = rest.subarray(piece.length);
      } else if (this.#endBytes > 0) {
        const skipped = Math.min(rest.length, this.#endBytes);
        this.#endBytes -= skipped;
        rest = rest.subarray(skipped);
      } else {
        rest = this.#readSize(rest);
      }
    }
    return data;
  }

  /** @returns what follows */
  #readSize(bytes: Uint8Array): Uint8Array {
    const lineFeed = bytes.indexOf(LINE_FEED);
    const piece = lineFeed === -1 ? bytes : bytes.subarray(0, lineFeed);
    if (!this.#sizeLine.add(piece)) this.#isComplete = true;
    else if (lineFeed !== -1) this.#beginChunk(new TextDecoder().decode(this.#sizeLine.take()));
    return bytes.subarray(piece.length + 1);
  }

  #beginChunk(sizeLine: string): void {
    const size = Number.parseInt(SIZE_LINE.exec(sizeLine)?.[1] ?? "0", 16);
    if (size === 0) this.#isComplete = true;
    this.#dataBytes = size;
    this.#endBytes = END_OF_CHUNK_BYTES;
  }
}
