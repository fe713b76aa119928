import { concatBytes } from "../../common/bytes.ts";
import { SpdyError } from "./errors.ts";
import { HeaderInflater } from "./inflate.ts";
import { WorkBudget } from "./work.ts";

/** Name/value pairs in wire order. Names are lower case; a name with several values has a pair for each. */
export type SpdyHeaders = readonly (readonly [name: string, value: string])[];

/** Bounds the memory that a peer can use. Headers of port-forward streams have tens of bytes. */
export const DEFAULT_MAX_HEADER_BYTES = 16 * 1024;
/** Most names of a block, and most values of a name. Port-forward's streams have three names. */
const MAX_PAIRS = 64;

// RFC 9110 `token` without upper case. Go's readers treat other names in ways of their own.
const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

// ignoreBOM keeps a leading U+FEFF, which is part of the value to the peer.
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/**
 * Decodes the header blocks of ONE direction of a connection. They share a zlib context, so every block must
 * be read, in order, even if its headers are not needed. Unusable after an error.
 */
export class HeaderBlockReader {
  readonly #inflater: HeaderInflater;
  readonly #budget: WorkBudget;

  constructor(maxBytes: number = DEFAULT_MAX_HEADER_BYTES, budget: WorkBudget = new WorkBudget()) {
    this.#inflater = new HeaderInflater(maxBytes, budget);
    this.#budget = budget;
  }

  /**
   * @param block the compressed block of one SYN_STREAM, SYN_REPLY or HEADERS frame
   * @throws SpdyError
   */
  read(block: Uint8Array): SpdyHeaders {
    return parseHeaderBlock(this.#inflater.inflate(block), this.#budget);
  }
}

// The zlib header: deflate with a 32 KiB window and a preset dictionary, then that dictionary's Adler-32.
const ZLIB_HEAD = Uint8Array.of(0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2);
const MAX_STORED_BYTES = 0xffff;
// An empty stored block, as of zlib's sync flush. Go's inflater returns its output only when it reads one.
const FLUSH = Uint8Array.of(0, 0, 0, 0xff, 0xff);

/**
 * Encodes the header blocks of ONE direction, in order.
 *
 * It writes stored blocks of DEFLATE. Every inflater reads them, and they end at a byte
 * boundary, as a SPDY frame must. Compression would save nothing on tens of bytes.
 */
export class HeaderBlockWriter {
  #head: readonly Uint8Array[] = [ZLIB_HEAD];

  /** @returns the bytes of a header block */
  write(headers: SpdyHeaders): Uint8Array {
    const block = serializeHeaderBlock(headers);
    const parts: Uint8Array[] = [...this.#head];
    this.#head = [];
    for (let at = 0; at < block.length; at += MAX_STORED_BYTES) {
      const piece = block.subarray(at, at + MAX_STORED_BYTES);
      const [low, high] = [piece.length & 0xff, piece.length >>> 8];
      // Not the last block, type 00, then the length and its complement in little-endian order.
      parts.push(Uint8Array.of(0, low, high, low ^ 0xff, high ^ 0xff), piece);
    }
    parts.push(FLUSH);
    return concatBytes(parts);
  }
}

// The number of pairs, then length, name, length and value of each.
// Lengths have 32 bits; NUL separates values.
function parseHeaderBlock(block: Uint8Array, budget: WorkBudget): SpdyHeaders {
  let at = 0;
  const length = (): number => {
    if (at + 4 > block.length) throw new SpdyError("bad-header-block", "a header block that ends inside a length");
    at += 4;
    return readUint32(block, at - 4);
  };
  const string = (): string => {
    const end = length() + at;
    if (end > block.length) throw new SpdyError("bad-header-block", "a header block that ends inside a string");
    const value = decodeUtf8(block.subarray(at, end));
    at = end;
    return value;
  };

  const headers: [string, string][] = [];
  const names = new Set<string>();
  const pairs = length();
  if (pairs > MAX_PAIRS) throw new SpdyError("headers-too-large", `more than ${MAX_PAIRS} headers`);
  for (let pair = 0; pair < pairs; pair++) {
    const name = string();
    if (!NAME.test(name)) throw new SpdyError("bad-header-block", "a header whose name is no lower-case token");
    if (names.has(name)) throw new SpdyError("bad-header-block", "a header that is there twice");
    names.add(name);
    const values = string().split("\0", MAX_PAIRS + 1);
    if (values.length > MAX_PAIRS) throw new SpdyError("headers-too-large", `more than ${MAX_PAIRS} values`);
    budget.spend("headerPairs", values.length);
    for (const value of values) headers.push([name, value]);
  }
  if (at !== block.length) throw new SpdyError("bad-header-block", "a header block with bytes after its last pair");
  return headers;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    throw new SpdyError("bad-header-block", "a header that is not UTF-8");
  }
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
    const encoded = utf8Encoder.encode(string);
    parts.push(uint32(encoded.length), encoded);
  }
  return concatBytes(parts);
}

/** Reads a big-endian unsigned 32-bit number. Bytes past the end count as 0. */
export function readUint32(from: Uint8Array, at: number): number {
  return (
    (((from[at] ?? 0) << 24) | ((from[at + 1] ?? 0) << 16) | ((from[at + 2] ?? 0) << 8) | (from[at + 3] ?? 0)) >>> 0
  );
}

/** Encodes a number as four big-endian bytes. */
export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
