import { concatBytes } from "../../common/bytes.ts";
import { type ChannelProtocol, decodeFrame } from "../../kubernetes/channels.ts";
import type { Chunk } from "./chunk.ts";

export type Message = ArrayBuffer | string;

/** How a session's subprotocol puts its bytes into WebSocket messages. */
export type Framing =
  /** A channel byte precedes each payload. */
  | {
      readonly kind: "channels";
      readonly protocol: ChannelProtocol;
      /** Whether the channel is a stream whose borders carry no meaning, so that messages may be joined and split. */
      readonly isStream: (channel: number) => boolean;
    }
  /** One stream of bytes without borders. */
  | { readonly kind: "bytes" }
  /** Each message has a meaning of its own, and must stay whole. */
  | { readonly kind: "messages" };

const NOTHING = new Uint8Array(0);
const utf8 = new TextEncoder();

/** Decodes a whole message. One that is no frame of its protocol has neither channel nor payload. */
export function decodeMessage(framing: Framing, message: ArrayBuffer | Uint8Array | string): Chunk {
  const isText = typeof message === "string";
  if (framing.kind !== "channels") {
    return { channel: undefined, payload: bytesOf(message), isText };
  }
  const frame = decodeFrame(framing.protocol, message);
  return { channel: frame?.channel, payload: frame?.payload ?? NOTHING, isText };
}

/** Whether the chunk belongs to a stream, so that it may be joined with its neighbours, and split. */
export function isOfStream(framing: Framing, { channel, payload, isText }: Chunk): boolean {
  // Text keeps its kind. An empty payload has a meaning for some clients.
  if (isText || payload.length === 0) return false;
  if (framing.kind !== "channels") return framing.kind === "bytes";
  return framing.protocol.encoding === "binary" && channel !== undefined && framing.isStream(channel);
}

/** A part of a message as it arrives. */
export interface MessagePart {
  /** Bytes of a binary message, or of the UTF-8 of a text one. A view that is valid during the call only. */
  readonly bytes: Uint8Array;
  readonly isText: boolean;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Where a `PartDecoder` delivers, in the order of arrival. */
export interface ChunkSink {
  /** Bytes of a stream: a channel's, or those of a protocol without channels. */
  onStream(chunk: Chunk): void;
  /** A message that must stay whole. */
  onMessage(message: Uint8Array | string, chunk: Chunk): void;
  /** A message that must stay whole has more bytes than `maxMessageBytes`. Nothing is delivered after it. */
  onTooLarge(): void;
}

/** Decodes messages that arrive in parts. It keeps no part of a stream, and at most one message of the others. */
export class PartDecoder {
  readonly #framing: Framing;
  readonly #maxMessageBytes: number;
  readonly #sink: ChunkSink;
  /** The channel of the message that is arriving, once its first byte is there. */
  #channel: number | undefined;
  #hasPayload = false;
  /** Parts of a message that must stay whole. */
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #hasEnded = false;

  constructor(framing: Framing, maxMessageBytes: number, sink: ChunkSink) {
    this.#framing = framing;
    this.#maxMessageBytes = maxMessageBytes;
    this.#sink = sink;
  }

  push(part: MessagePart): void {
    if (this.#hasEnded) return;
    if (part.isFirst) {
      this.#channel = undefined;
      this.#hasPayload = false;
    }
    const { kind } = this.#framing;
    // A text message in a stream of bytes is for the observer to judge: its kind must not be lost.
    if (kind === "messages" || (kind === "bytes" && part.isText) || this.#isEncoded(part)) this.#collect(part);
    else if (kind === "bytes") this.#stream(undefined, part.bytes);
    else this.#pushChannel(part);
  }

  /** Messages in base64 are decoded as a whole. So are text ones, which no API server sends in binary protocols. */
  #isEncoded({ isText }: MessagePart): boolean {
    return this.#framing.kind === "channels" && (isText || this.#framing.protocol.encoding === "base64");
  }

  #pushChannel(part: MessagePart): void {
    let payload = part.bytes;
    if (this.#channel === undefined) {
      this.#channel = payload[0];
      payload = payload.subarray(1);
    }
    const channel = this.#channel;
    if (channel === undefined || !this.#isStream(channel)) {
      this.#collect(part);
      return;
    }
    if (payload.length > 0) this.#hasPayload = true;
    this.#stream(channel, payload);
    // The API server sends a channel byte alone for each channel at the start.
    if (part.isLast && !this.#hasPayload) this.#deliver(Uint8Array.of(channel), false);
  }

  #isStream(channel: number): boolean {
    return this.#framing.kind === "channels" && this.#framing.isStream(channel);
  }

  #stream(channel: number | undefined, payload: Uint8Array): void {
    if (payload.length > 0) this.#sink.onStream({ channel, payload, isText: false });
  }

  #collect({ bytes, isText, isLast }: MessagePart): void {
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxMessageBytes) {
      this.#hasEnded = true;
      this.#parts = [];
      this.#sink.onTooLarge();
      return;
    }
    // The last part need not outlive the call.
    this.#parts.push(isLast ? bytes : bytes.slice());
    if (!isLast) return;
    const message = concatBytes(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    this.#deliver(message, isText);
  }

  #deliver(bytes: Uint8Array, isText: boolean): void {
    const message = isText ? new TextDecoder().decode(bytes) : bytes;
    this.#sink.onMessage(message, decodeMessage(this.#framing, message));
  }
}

/** Bytes of a message. */
export function sizeOf(message: Message): number {
  return typeof message === "string" ? utf8.encode(message).length : message.byteLength;
}

function bytesOf(message: ArrayBuffer | Uint8Array | string): Uint8Array {
  if (typeof message === "string") return utf8.encode(message);
  return message instanceof Uint8Array ? message : new Uint8Array(message);
}
