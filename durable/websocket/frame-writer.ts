import { FIN, MASKED, type Opcode } from "./protocol.ts";

const MASK_BYTES = 4;

/**
 * Builds one unfragmented frame as a client sends it: masked (RFC 6455, section 5.3).
 *
 * @param parts the payload, in order; not changed
 * @param mask four bytes, new ones from a strong source for each frame
 */
export function encodeClientFrame(
  opcode: (typeof Opcode)[keyof typeof Opcode],
  parts: readonly Uint8Array[],
  mask: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((bytes, part) => bytes + part.length, 0);
  const headBytes = length < 126 ? 2 : length < 0x1_0000 ? 4 : 10;
  // The payload begins at a multiple of 4, so that it can be masked a word at a time; the frame is a view
  // from its head on.
  const payloadStart = Math.ceil((headBytes + MASK_BYTES) / 4) * 4;
  const start = payloadStart - headBytes - MASK_BYTES;
  const buffer = new ArrayBuffer(payloadStart + Math.ceil(length / 4) * 4);
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  view.setUint8(start, FIN | opcode);
  if (length < 126) {
    view.setUint8(start + 1, MASKED | length);
  } else if (length < 0x1_0000) {
    view.setUint8(start + 1, MASKED | 126);
    view.setUint16(start + 2, length);
  } else {
    view.setUint8(start + 1, MASKED | 127);
    view.setBigUint64(start + 2, BigInt(length));
  }
  bytes.set(mask, start + headBytes);
  let at = payloadStart;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  maskWords(new Uint32Array(buffer, payloadStart), mask);
  return new Uint8Array(buffer, start, headBytes + MASK_BYTES + length);
}

/** In the machine's own byte order, which both sides of the XOR share. */
function maskWords(words: Uint32Array, mask: Uint8Array): void {
  const [key = 0] = new Uint32Array(mask.slice().buffer, 0, 1);
  for (let index = 0; index < words.length; index++) words[index] = (words[index] ?? 0) ^ key;
}

/** The payload of a close frame (section 5.5.1). @param reason at most 123 bytes of UTF-8 */
export function closePayload(code: number, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason);
  const payload = new Uint8Array(2 + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text, 2);
  return payload;
}
