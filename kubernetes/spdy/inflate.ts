import { SPDY_DICTIONARY } from "./dictionary.ts";
import { SpdyError } from "./errors.ts";
import type { WorkBudget } from "./work.ts";

const WINDOW_BYTES = 32 * 1024;
const DICTIONARY_ADLER32 = 0xe3c6a7c2;
const MAX_CODE_BITS = 15;
const END_OF_BLOCK = 256;

/** A canonical Huffman code: how many codes have each length, and their symbols in order of the codes. */
interface HuffmanCode {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

// RFC 1951, 3.2.5: base values and extra bits of the symbols for lengths (from 257 on) and distances.
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577,
];
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
// 3.2.7: the order in which the lengths of the code for code lengths are sent.
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/**
 * Inflates the header blocks of ONE direction of a connection, which are pieces of one zlib stream with
 * SPDY's dictionary. Stricter than general inflaters, so that it cannot read other headers than Go's does:
 *
 * - Each block ends with an empty stored block, as of zlib's sync flush. Go's inflater returns nothing before
 *   it reads one. Bytes after its last pair would be those of the NEXT frame to Go.
 * - The stream has the dictionary, and no end.
 *
 * It also does no more work than its budget, whatever is in the block.
 */
export class HeaderInflater {
  readonly #maxBytes: number;
  readonly #budget: WorkBudget;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #out: Uint8Array;
  #outLength = 0;
  /** Bytes that were ever written to the window. */
  #written = 0;
  #hasHead = false;

  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #bits = 0;
  #bitCount = 0;

  /** @param maxBytes the most that one header block may inflate to */
  constructor(maxBytes: number, budget: WorkBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
    this.#out = new Uint8Array(Math.min(maxBytes, 256));
    this.#window.set(SPDY_DICTIONARY);
    this.#written = SPDY_DICTIONARY.length;
  }

  /**
   * @returns a view that is valid until the next call
   * @throws SpdyError
   */
  inflate(block: Uint8Array): Uint8Array {
    this.#input = block;
    this.#at = 0;
    this.#bits = 0;
    this.#bitCount = 0;
    this.#outLength = 0;
    if (!this.#hasHead) this.#readZlibHead();
    let isFlushed = false;
    while (this.#at < block.length) isFlushed = this.#readBlock();
    if (!isFlushed) throw invalid("without a flush at its end");
    return this.#out.subarray(0, this.#outLength);
  }

  #readZlibHead(): void {
    const [method, flags] = [this.#byte(), this.#byte()];
    const isDeflate = (method & 0x0f) === 8 && method >> 4 <= 7 && ((method << 8) | flags) % 31 === 0;
    const hasDictionary = (flags & 0x20) !== 0;
    if (!isDeflate || !hasDictionary) throw invalid("without a zlib header that names a dictionary");
    let adler32 = 0;
    for (let byte = 0; byte < 4; byte++) adler32 = ((adler32 << 8) | this.#byte()) >>> 0;
    if (adler32 !== DICTIONARY_ADLER32) throw invalid("with another dictionary");
    this.#hasHead = true;
  }

  /** @returns whether it was an empty stored block */
  #readBlock(): boolean {
    this.#budget.spend("deflateBlocks");
    if (this.#take(1) === 1) throw invalid("with the last block of its zlib stream");
    switch (this.#take(2)) {
      case 0:
        return this.#readStored();
      case 1:
        this.#readCompressed(FIXED_LITERALS, FIXED_DISTANCES);
        return false;
      case 2: {
        const [literals, distances] = this.#readCodes();
        this.#readCompressed(literals, distances);
        return false;
      }
      default:
        throw invalid("with an unknown kind of block");
    }
  }

  #readStored(): boolean {
    this.#bits = 0;
    this.#bitCount = 0;
    const length = this.#byte() | (this.#byte() << 8);
    const complement = this.#byte() | (this.#byte() << 8);
    if ((length ^ complement) !== 0xffff) throw invalid("with a wrong length");
    this.#reserve(length);
    for (let left = length; left > 0; left--) this.#write(this.#byte());
    return length === 0;
  }

  #readCompressed(literals: HuffmanCode, distances: HuffmanCode): void {
    for (;;) {
      const symbol = this.#symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        this.#reserve(1);
        this.#write(symbol);
      } else {
        this.#copy(this.#extended(symbol - 257, LENGTH_BASE, LENGTH_EXTRA), distances);
      }
    }
  }

  #copy(length: number, distances: HuffmanCode): void {
    const distance = this.#extended(this.#symbol(distances), DISTANCE_BASE, DISTANCE_EXTRA);
    if (distance > Math.min(this.#written, WINDOW_BYTES)) throw invalid("with a distance that is too long");
    this.#reserve(length);
    for (let left = length; left > 0; left--) {
      this.#write(this.#window[(this.#written - distance) % WINDOW_BYTES] ?? 0);
    }
  }

  #extended(index: number, base: readonly number[], extra: readonly number[]): number {
    const [from, bits] = [base[index], extra[index]];
    if (from === undefined || bits === undefined) throw invalid("with an unknown length or distance");
    return from + this.#take(bits);
  }

  /** Reads the codes of a block that brings its own. */
  #readCodes(): [literals: HuffmanCode, distances: HuffmanCode] {
    const literals = 257 + this.#take(5);
    const distances = 1 + this.#take(5);
    if (literals > 286 || distances > 30) throw invalid("with too many codes");
    const lengthsOfLengths = new Uint8Array(CODE_LENGTH_ORDER.length);
    for (const symbol of CODE_LENGTH_ORDER.slice(0, 4 + this.#take(4))) lengthsOfLengths[symbol] = this.#take(3);
    const lengths = this.#readCodeLengths(huffmanCode(lengthsOfLengths), literals + distances);
    return [huffmanCode(lengths.subarray(0, literals)), huffmanCode(lengths.subarray(literals))];
  }

  #readCodeLengths(code: HuffmanCode, count: number): Uint8Array {
    const lengths = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      const symbol = this.#symbol(code);
      if (symbol < 16) {
        lengths[at++] = symbol;
        continue;
      }
      if (symbol === 16 && at === 0) throw invalid("that repeats a code length before the first");
      const repeated = symbol === 16 ? (lengths[at - 1] ?? 0) : 0;
      const times = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (at + times > count) throw invalid("that repeats a code length after the last");
      lengths.fill(repeated, at, at + times);
      at += times;
    }
    return lengths;
  }

  #symbol({ counts, symbols }: HuffmanCode): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
      code |= this.#take(1);
      const count = counts[bits] ?? 0;
      if (code - first < count) return symbols[index + code - first] ?? 0;
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw invalid("with an unknown code");
  }

  /** Takes up to 13 bits, the lowest first. */
  #take(count: number): number {
    while (this.#bitCount < count) {
      this.#bits |= this.#byte() << this.#bitCount;
      this.#bitCount += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  #byte(): number {
    const byte = this.#input[this.#at++];
    if (byte === undefined) throw invalid("that ends too early");
    return byte;
  }

  /** To be called before bytes are written. */
  #reserve(bytes: number): void {
    const needed = this.#outLength + bytes;
    if (needed > this.#maxBytes) {
      throw new SpdyError("headers-too-large", `a header block that inflates to more than ${this.#maxBytes} bytes`);
    }
    this.#budget.spend("inflatedBytes", bytes);
    if (needed <= this.#out.length) return;
    const larger = new Uint8Array(Math.min(this.#maxBytes, 2 * needed));
    larger.set(this.#out);
    this.#out = larger;
  }

  #write(byte: number): void {
    this.#out[this.#outLength++] = byte;
    this.#window[this.#written++ % WINDOW_BYTES] = byte;
  }
}

/** Makes the code whose symbols have these lengths (RFC 1951, 3.2.2). Accepts those that Go accepts. */
function huffmanCode(lengths: Uint8Array): HuffmanCode {
  const counts = new Uint16Array(MAX_CODE_BITS + 1);
  for (const length of lengths) counts[length] = (counts[length] ?? 0) + 1;
  counts[0] = 0;
  const offsets = new Uint16Array(MAX_CODE_BITS + 2);
  let unused = 1;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
    const count = counts[bits] ?? 0;
    unused = 2 * unused - count;
    if (unused < 0) throw invalid("with more codes than fit");
    offsets[bits + 1] = (offsets[bits] ?? 0) + count;
  }
  const total = offsets[MAX_CODE_BITS + 1] ?? 0;
  // Incomplete, but for a single code of one bit, and for none, which must then not be used.
  if (unused > 0 && total > 0 && !(total === 1 && counts[1] === 1)) throw invalid("with an incomplete code");
  const symbols = new Uint16Array(total);
  for (const [symbol, length] of lengths.entries()) {
    if (length === 0) continue;
    const at = offsets[length] ?? 0;
    symbols[at] = symbol;
    offsets[length] = at + 1;
  }
  return { counts, symbols };
}

// 3.2.6. Symbols 286, 287 and distances 30, 31 have codes, but no meaning.
const FIXED_LITERALS = huffmanCode(
  Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8)),
);
const FIXED_DISTANCES = huffmanCode(new Uint8Array(32).fill(5));

function invalid(what: string): SpdyError {
  return new SpdyError("bad-header-block", `a header block ${what}`);
}
