import { FIN, MASKED, type Opcode } from "./protocol.ts";

const MASK_BYTES = 4;
/** The bytes that are masked at a time: two masks. */
const WORD_BYTES = 8;

/** What a frame with such a payload has on the wire. */
export function clientFrameBytes(payloadBytes: number): number {
  return headBytes(payloadBytes) + MASK_BYTES + payloadBytes;
}

/**
 * Writes one unfragmented frame as a client sends it: masked (RFC 6455, section 5.3).
 *
 * @param at where in `target`, which must have the room
 * @param payload not changed
 * @param mask four bytes, new ones from a strong source for each frame
 */
export function writeClientFrame(
  target: Uint8Array,
  at: number,
  opcode: (typeof Opcode)[keyof typeof Opcode],
  payload: Uint8Array,
  mask: Uint8Array,
): void {
  const { length } = payload;
  const head = headBytes(length);
  const view = new DataView(target.buffer, target.byteOffset + at);
  view.setUint8(0, FIN | opcode);
  if (head === 2) {
    view.setUint8(1, MASKED | length);
  } else if (head === 4) {
    view.setUint8(1, MASKED | 126);
    view.setUint16(2, length);
  } else {
    view.setUint8(1, MASKED | 127);
    view.setBigUint64(2, BigInt(length));
  }
  const start = at + head + MASK_BYTES;
  target.set(mask, at + head);
  target.set(payload, start);
  maskBytes(target.subarray(start, start + length), mask);
}

/** The same in memory of its own. */
export function encodeClientFrame(
  opcode: (typeof Opcode)[keyof typeof Opcode],
  payload: Uint8Array,
  mask: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(clientFrameBytes(payload.length));
  writeClientFrame(frame, 0, opcode, payload, mask);
  return frame;
}

function headBytes(payloadBytes: number): number {
  return payloadBytes < 126 ? 2 : payloadBytes < 0x1_0000 ? 4 : 10;
}

/** A word at a time, but for what lies before the first whole word and behind the last. */
function maskBytes(bytes: Uint8Array, mask: Uint8Array): void {
  const before = Math.min(-bytes.byteOffset & (WORD_BYTES - 1), bytes.length);
  const words = Math.floor((bytes.length - before) / WORD_BYTES);
  const after = before + words * WORD_BYTES;
  maskSingly(bytes, 0, before, mask);
  maskSingly(bytes, after, bytes.length, mask);
  if (words === 0) return;
  // In the machine's own byte order, which both sides of the XOR share.
  const key = Uint8Array.from({ length: WORD_BYTES }, (_, index) => mask[(before + index) & 3] ?? 0);
  maskWords(new BigInt64Array(bytes.buffer, bytes.byteOffset + before, words), new BigInt64Array(key.buffer)[0] ?? 0n);
}

function maskSingly(bytes: Uint8Array, from: number, to: number, mask: Uint8Array): void {
  for (let at = from; at < to; at++) bytes[at] = (bytes[at] ?? 0) ^ (mask[at & 3] ?? 0);
}

/**
 * Four words a round, and without a look whether there is a word. The engine may run this unoptimised for
 * seconds, on a busy machine above all: then each word is an object on its heap, so that half as many words
 * take half the time. They are signed because the engine optimises unsigned ones less.
 */
function maskWords(words: BigInt64Array, key: bigint): void {
  const rounds = words.length - (words.length & 3);
  let at = 0;
  for (; at < rounds; at += 4) {
    words[at] = (words[at] as bigint) ^ key;
    words[at + 1] = (words[at + 1] as bigint) ^ key;
    words[at + 2] = (words[at + 2] as bigint) ^ key;
    words[at + 3] = (words[at + 3] as bigint) ^ key;
  }
  for (; at < words.length; at++) words[at] = (words[at] as bigint) ^ key;
}

/** The payload of a close frame (section 5.5.1). @param reason at most 123 bytes of UTF-8 */
export function closePayload(code: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason);
  const payload = new Uint8Array(2 + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text, 2);
  return payload;
}
