import { Unzlib } from "fflate";
import { SPDY_DICTIONARY } from "./dictionary.ts";
import { SpdyError } from "./errors.ts";

/** Name/value pairs in wire order. A name is lower case; one with several values appears once for each. */
export type SpdyHeaders = readonly (readonly [name: string, value: string])[];

/** Names of the Kubernetes port-forward streams are tens of bytes: this bounds what a peer can make us hold. */
export const DEFAULT_MAX_HEADER_BYTES = 16 * 1024;

// DEFLATE expands at most about 1032 times, so a slice this long yields at most ~66 KiB before the limit is looked at.
const INFLATE_SLICE_BYTES = 64;

// A BOM is part of a name, not to be dropped: the peer's reader would see another name than we do.
const text = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
const bytes = new TextEncoder();

/**
 * Reads the header blocks of ONE direction of a connection. All blocks share a zlib context, so every block must be
 * given to it, in order, also those whose headers are of no interest; after an error it must not be used again.
 */
export class HeaderBlockReader {
  readonly #maxBytes: number;
  readonly #inflater: Unzlib;
  #out: Uint8Array[] = [];
  #outBytes = 0;

  constructor(maxBytes: number = DEFAULT_MAX_HEADER_BYTES) {
    this.#maxBytes = maxBytes;
    this.#inflater = new Unzlib({ dictionary: SPDY_DICTIONARY }, (chunk) => {
      this.#out.push(chunk);
      this.#outBytes += chunk.length;
    });
  }

  /** Takes the compressed block of one SYN_STREAM, SYN_REPLY or HEADERS frame; throws SpdyError. */
  read(block: Uint8Array): SpdyHeaders {
    this.#out = [];
    this.#outBytes = 0;
    try {
      for (let at = 0; at < block.length; at += INFLATE_SLICE_BYTES) {
        this.#inflater.push(block.subarray(at, at + INFLATE_SLICE_BYTES));
        if (this.#outBytes > this.#maxBytes) {
          throw new SpdyError("headers-too-large", `header block inflates to more than ${this.#maxBytes} bytes`);
        }
      }
    } catch (error) {
      if (error instanceof SpdyError) throw error;
      throw new SpdyError("bad-header-block", `header block does not inflate: ${String(error)}`);
    }
    return parseHeaderBlock(concatBytes(this.#out, this.#outBytes));
  }
}

// zlib's head: deflate with a 32 KiB window, a preset dictionary, and that dictionary's Adler-32.
const ZLIB_HEAD = Uint8Array.of(0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2);
const MAX_STORED_BYTES = 0xffff;
// An empty stored block, the mark of zlib's sync flush. Go's inflater hands out what it has only when it meets one.
const FLUSH = Uint8Array.of(0, 0, 0, 0xff, 0xff);

/**
 * Writes the header blocks of ONE direction: the counterpart of HeaderBlockReader, with the same rule of order. It uses
 * DEFLATE's stored blocks: every inflater reads them, they end on a byte border as each SPDY frame needs, and the tens
 * of bytes that port-forward sends are not worth a compressor (fflate's flush goes wrong on blocks this short).
 */
export class HeaderBlockWriter {
  #head: readonly Uint8Array[] = [ZLIB_HEAD];

  /** Gives the zlib bytes of these headers. */
  write(headers: SpdyHeaders): Uint8Array {
    const block = serializeHeaderBlock(headers);
    const parts: Uint8Array[] = [...this.#head];
    this.#head = [];
    for (let at = 0; at < block.length; at += MAX_STORED_BYTES) {
      const piece = block.subarray(at, at + MAX_STORED_BYTES);
      const [low, high] = [piece.length & 0xff, piece.length >>> 8];
      // Not the last block, type 00; then the length and its complement, little-endian.
      parts.push(Uint8Array.of(0, low, high, low ^ 0xff, high ^ 0xff), piece);
    }
    parts.push(FLUSH);
    return concatBytes(
      parts,
      parts.reduce((sum, part) => sum + part.length, 0),
    );
  }
}

// Number of pairs, then length + name + length + value each, all lengths 32 bit; several values are joined with NUL.
function parseHeaderBlock(block: Uint8Array): SpdyHeaders {
  let at = 0;
  const length = (): number => {
    if (at + 4 > block.length) throw new SpdyError("bad-header-block", "header block ends inside a length");
    at += 4;
    return readUint32(block, at - 4);
  };
  const string = (): string => {
    const end = length() + at;
    if (end > block.length) throw new SpdyError("bad-header-block", "header block ends inside a string");
    const value = text.decode(block.subarray(at, end));
    at = end;
    return value;
  };

  const headers: [string, string][] = [];
  const pairs = length();
  for (let pair = 0; pair < pairs; pair++) {
    const name = string();
    if (name === "" || name !== name.toLowerCase()) {
      throw new SpdyError("bad-header-block", "header name is empty or not in lower case");
    }
    for (const value of string().split("\0")) headers.push([name, value]);
  }
  if (at !== block.length) throw new SpdyError("bad-header-block", "header block has bytes after its last pair");
  return headers;
}

function serializeHeaderBlock(headers: SpdyHeaders): Uint8Array {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const earlier = joined.get(key);
    joined.set(key, earlier === undefined ? value : `${earlier}\0${value}`);
  }
  const parts: Uint8Array[] = [uint32(joined.size)];
  for (const string of [...joined].flat()) {
    const encoded = bytes.encode(string);
    parts.push(uint32(encoded.length), encoded);
  }
  return concatBytes(
    parts,
    parts.reduce((sum, part) => sum + part.length, 0),
  );
}

/** Joins byte arrays whose lengths sum up to `total`. */
export function concatBytes(parts: readonly Uint8Array[], total: number): Uint8Array {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  const joined = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** The big-endian unsigned 32-bit number at `at`; bytes past the end count as 0. */
export function readUint32(from: Uint8Array, at: number): number {
  return (
    (((from[at] ?? 0) << 24) | ((from[at + 1] ?? 0) << 16) | ((from[at + 2] ?? 0) << 8) | (from[at + 3] ?? 0)) >>> 0
  );
}

/** A number as four big-endian bytes. */
export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
