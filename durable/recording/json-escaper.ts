import { mayBeginControl } from "./control-scanner.ts";

/**
 * Escapes bytes that should be UTF-8 for the inside of a JSON string.
 *
 * By hand, because `TextDecoder` and `JSON.stringify` cost about twice as much (four passes, and a two-byte
 * string as soon as one character is not Latin-1), and because a character may be split between two frames.
 * Invalid bytes become U+FFFD as in the WHATWG decoder, one for each maximal part of a sequence.
 */

/** The most bytes that one byte of input becomes: a control character is `\u00xx`. */
const MAX_GROWTH = 6;
/** Bytes held back by the previous push, which may become U+FFFD. */
const MAX_HELD_BYTES = 3;

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const HEX = new TextEncoder().encode("0123456789abcdef");
/** `\u00`, and the two digits after it for each control character, as little-endian numbers. */
const CONTROL_START = 0x3030755c;
const CONTROL_ENDS = Int16Array.from({ length: 0x20 }, (_, code) => {
  return (HEX[code >> 4] as number) | ((HEX[code & 15] as number) << 8);
});

export class JsonEscaper {
  readonly #crlf: boolean;
  /** The beginning of a sequence whose rest has not arrived. */
  readonly #held = new Uint8Array(MAX_HELD_BYTES);
  #heldBytes = 0;
  /** Continuation bytes that are missing, and the range of the next one. */
  #missing = 0;
  #hasControls = false;
  #lower = 0x80;
  #upper = 0xbf;

  /** @param crlf writes a line feed as CR LF, as a terminal driver does for programs */
  constructor(crlf: boolean) {
    this.#crlf = crlf;
  }

  /** The room in the target that `push` needs for so many bytes. */
  static room(bytes: number): number {
    return bytes * MAX_GROWTH + MAX_HELD_BYTES;
  }

  /** Whether a control sequence may begin in what the last `push` got. Text has none. */
  get hasControls(): boolean {
    return this.#hasControls;
  }

  /** @returns where the text ends in `target`, which must have the `room` */
  push(source: Uint8Array, target: Uint8Array, at: number): number {
    const from = new DataView(source.buffer, source.byteOffset, source.byteLength);
    const to = new DataView(target.buffer, target.byteOffset, target.byteLength);
    const end = source.length;
    let out = at;
    let i = 0;
    this.#hasControls = false;
    while (i < end) {
      if (this.#missing === 0) {
        // Four plain characters at a time: none above 0x7f or below 0x20, no quote, no backslash.
        while (i + 4 <= end) {
          const word = from.getInt32(i, true);
          const unlikeQuote = (word ^ 0x22222222) - 0x01010101;
          const unlikeBackslash = (word ^ 0x5c5c5c5c) - 0x01010101;
          if (((word | (word - 0x20202020) | unlikeQuote | unlikeBackslash) & 0x80808080) !== 0) break;
          to.setInt32(out, word, true);
          i += 4;
          out += 4;
        }
        if (i === end) break;
      }
      const byte = source[i++] as number;
      if (this.#missing > 0) {
        out = this.#continue(byte, target, out);
      } else if (byte >= 0x80) {
        const length = plainSequence(source, i - 1);
        if (length === 0) {
          const isAlone = byte < 0xc2 || byte > 0xf4 || (i < end && ((source[i] as number) & 0xc0) !== 0x80);
          out = isAlone ? replacement(target, out) : this.#begin(byte, target, out);
          continue;
        }
        target[out++] = byte;
        target[out++] = source[i++] as number;
        if (length === 3) target[out++] = source[i++] as number;
      } else if (byte < 0x20 && byte !== LINE_FEED) {
        if (mayBeginControl(byte)) this.#hasControls = true;
        to.setInt32(out, CONTROL_START, true);
        to.setInt16(out + 4, CONTROL_ENDS[byte] as number, true);
        out += 6;
      } else {
        out = this.#ascii(byte, target, out);
      }
    }
    return out;
  }

  /** The stream is over: bytes that were held back are an incomplete sequence. */
  finish(target: Uint8Array, at: number): number {
    if (this.#missing === 0) return at;
    this.#missing = 0;
    return replacement(target, at);
  }

  #ascii(byte: number, target: Uint8Array, at: number): number {
    let out = at;
    if (byte === LINE_FEED) {
      if (this.#crlf) {
        target[out++] = BACKSLASH;
        target[out++] = 0x72;
      }
      target[out++] = BACKSLASH;
      target[out++] = 0x6e;
    } else if (byte < 0x20) {
      if (mayBeginControl(byte)) this.#hasControls = true;
      out = escaped(byte, target, out);
    } else {
      if (byte === QUOTE || byte === BACKSLASH) target[out++] = BACKSLASH;
      target[out++] = byte;
    }
    return out;
  }

  /** The ranges of the Encoding Standard: no overlong form, no surrogate, nothing above U+10FFFF. */
  #begin(byte: number, target: Uint8Array, at: number): number {
    this.#lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    if (mayBeginControl(byte)) this.#hasControls = true;
    if (byte >= 0xc2 && byte <= 0xdf) this.#missing = 1;
    else if (byte >= 0xe0 && byte <= 0xef) this.#missing = 2;
    else if (byte >= 0xf0 && byte <= 0xf4) this.#missing = 3;
    else return replacement(target, at);
    this.#held[0] = byte;
    this.#heldBytes = 1;
    return at;
  }

  #continue(byte: number, target: Uint8Array, at: number): number {
    if (byte < this.#lower || byte > this.#upper) {
      this.#missing = 0;
      const out = replacement(target, at);
      return byte >= 0x80 ? this.#begin(byte, target, out) : this.#ascii(byte, target, out);
    }
    this.#lower = 0x80;
    this.#upper = 0xbf;
    if (--this.#missing > 0) {
      this.#held[this.#heldBytes++] = byte;
      return at;
    }
    const first = this.#held[0] as number;
    const second = this.#held[1] as number;
    if (this.#heldBytes === 1 && first === 0xc2 && byte < 0xa0) return escaped(byte, target, at);
    if (this.#heldBytes === 2 && first === 0xe2 && second === 0x80 && (byte === 0xa8 || byte === 0xa9)) {
      return escaped(0x2000 + byte - 0x80, target, at);
    }
    let out = at;
    target[out++] = first;
    if (this.#heldBytes > 1) target[out++] = second;
    if (this.#heldBytes > 2) target[out++] = this.#held[2] as number;
    target[out++] = byte;
    return out;
  }
}

/**
 * The length of the sequence at `at` if it is complete and needs no escaping, as in nearly all text that is
 * not ASCII. 0 for all others, which are read byte by byte. Past the end of `source` nothing matches.
 */
function plainSequence(source: Uint8Array, at: number): 0 | 2 | 3 {
  const first = source[at] as number;
  const second = source[at + 1] as number;
  if ((second & 0xc0) !== 0x80) return 0;
  if (first >= 0xc3 && first <= 0xdf) return 2;
  if (first < 0xe1 || first > 0xec || (first === 0xe2 && second === 0x80)) return 0;
  return ((source[at + 2] as number) & 0xc0) === 0x80 ? 3 : 0;
}

/**
 * Writes `\uXXXX`. Beyond what JSON requires, it is used for the C1 controls and the line and paragraph
 * separators: when the asciinema player reads a cast from a URL, U+0085, U+2028 and U+2029 end a line.
 */
function escaped(code: number, target: Uint8Array, at: number): number {
  target[at] = BACKSLASH;
  target[at + 1] = 0x75;
  target[at + 2] = HEX[code >> 12] as number;
  target[at + 3] = HEX[(code >> 8) & 15] as number;
  target[at + 4] = HEX[(code >> 4) & 15] as number;
  target[at + 5] = HEX[code & 15] as number;
  return at + 6;
}

/** U+FFFD. */
function replacement(target: Uint8Array, at: number): number {
  target[at] = 0xef;
  target[at + 1] = 0xbf;
  target[at + 2] = 0xbd;
  return at + 3;
}
