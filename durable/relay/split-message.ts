import { concatBytes } from "../../common/bytes.ts";
import { bytesOf, decodeMessage, type Framing, isOfStream, type Message } from "../protocols/framing.ts";

/**
 * Larger messages are handled in pieces. SQLite rows hold at most 2 MB. A multiple of 4, for base64 has whole
 * bytes in groups of 4 characters.
 */
export const PIECE_BYTES = 512 * 1024;

/**
 * Cuts a large message of a stream into messages of the same stream. One that must stay whole stays whole.
 *
 * Text of a channel becomes binary, as the API server takes it (Python's client sends its stdin as text).
 */
export function* splitMessage(framing: Framing, message: Message): Generator<Message> {
  const isText = typeof message === "string";
  if ((isText ? message.length : message.byteLength) <= PIECE_BYTES) yield message;
  else if (framing.kind === "channels" && framing.protocol.encoding === "base64") yield* splitBase64(framing, message);
  else if (framing.kind === "messages" || (isText && framing.kind === "bytes")) yield message;
  else yield* splitBinary(framing, bytesOf(message), message);
}

function* splitBinary(framing: Framing, bytes: Uint8Array, whole: Message): Generator<Message> {
  if (!isOfStream(framing, decodeMessage(framing, bytes))) {
    yield whole;
    return;
  }
  const head = bytes.subarray(0, framing.kind === "channels" ? 1 : 0);
  for (let at = head.length; at < bytes.length; at += PIECE_BYTES) {
    yield concatBytes([head, bytes.subarray(at, at + PIECE_BYTES)]).buffer;
  }
}

function* splitBase64(framing: Extract<Framing, { kind: "channels" }>, message: Message): Generator<Message> {
  const channel = decodeMessage(framing, message).channel;
  // Go skips line ends, so the groups of a text that has some may lie anywhere.
  const isRegular = typeof message === "string" && !/[\r\n]/.test(message);
  if (!isRegular || channel === undefined || !framing.isStream(channel)) {
    yield message;
    return;
  }
  for (let at = 1; at < message.length; at += PIECE_BYTES) {
    yield message.charAt(0) + message.slice(at, at + PIECE_BYTES);
  }
}
