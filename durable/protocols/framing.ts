import { BoundedBuffer } from "../../common/bounded-buffer.ts";
import { utf8Length } from "../../common/bytes.ts";
import { type ChannelProtocol, decodeFrame } from "../../kubernetes/channels.ts";
import type { Chunk } from "./chunk.ts";

export type Message = ArrayBuffer | string;

/** How a session's subprotocol puts its bytes into WebSocket messages. */
export type Framing =
  /** A channel byte precedes each payload. */
  | {
      readonly kind: "channels";
      readonly protocol: ChannelProtocol;
      /**
       * Whether the channel is a stream whose borders carry no meaning, so that messages may be joined and
       * split.
       */
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
  if (framing.kind !== "channels") return isText ? textChunk(message) : chunkOf(bytesOf(message), false);
  const frame = decodeFrame(framing.protocol, message);
  if (!frame) return chunkOf(NOTHING, isText);
  return {
    channel: frame.channel,
    isText,
    get size() {
      return frame.size;
    },
    get payload() {
      return frame.payload;
    },
  };
}

function chunkOf(payload: Uint8Array, isText: boolean, channel?: number): Chunk {
  return { channel, size: payload.length, payload, isText };
}

function textChunk(text: string): Chunk {
  let payload: Uint8Array | undefined;
  return {
    channel: undefined,
    isText: true,
    get size() {
      return payload?.length ?? utf8Length(text);
    },
    get payload() {
      payload ??= utf8.encode(text);
      return payload;
    },
  };
}

/** Whether the chunk belongs to a stream, so that it may be joined with its neighbours, and split. */
export function isOfStream(framing: Framing, { channel, size, isText }: Chunk): boolean {
  // Text keeps its kind. An empty payload has a meaning for some clients.
  if (isText || size === 0) return false;
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
  /** A message that must stay whole. Its memory is the receiver's. */
  onMessage(message: Uint8Array | string, chunk: Chunk): void;
  /**
   * What arrived cannot be passed on exactly. Nothing is delivered after it.
   *
   * @param violation for a person
   */
  onViolation(violation: string): void;
}

/**
 * Decodes messages that arrive in parts. It keeps no part of a stream, and at most one message of the others.
 */
export class PartDecoder {
  readonly #framing: Framing;
  readonly #sink: ChunkSink;
  /** The channel of the message that is arriving, once its first byte is there. */
  #channel: number | undefined;
  #hasPayload = false;
  /** The message that is arriving, where it must stay whole. */
  readonly #message: BoundedBuffer;
  #hasEnded = false;

  constructor(framing: Framing, maxMessageBytes: number, sink: ChunkSink) {
    this.#framing = framing;
    this.#message = new BoundedBuffer(maxMessageBytes);
    this.#sink = sink;
  }

  /** Memory of a message whose end has not arrived. */
  get heldBytes(): number {
    return this.#message.heldBytes;
  }

  push(part: MessagePart): void {
    if (this.#hasEnded) return;
    if (part.isFirst) {
      this.#channel = undefined;
      this.#hasPayload = false;
    }
    if (this.#mustStayWhole(part)) this.#collect(part);
    else if (this.#framing.kind === "channels") this.#pushChannel(part);
    else this.#stream(undefined, part.bytes);
  }

  /**
   * Base64 is decoded as a whole. A text message where binary ones are the rule must not lose its kind:
   * kubectl gives up on one, and so does an observer.
   */
  #mustStayWhole({ isText }: MessagePart): boolean {
    if (isText || this.#framing.kind === "messages") return true;
    return this.#framing.kind === "channels" && this.#framing.protocol.encoding === "base64";
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
    if (part.isLast && !this.#hasPayload)
      this.#sink.onMessage(Uint8Array.of(channel), chunkOf(NOTHING, false, channel));
  }

  #isStream(channel: number): boolean {
    return this.#framing.kind === "channels" && this.#framing.isStream(channel);
  }

  #stream(channel: number | undefined, payload: Uint8Array): void {
    if (payload.length > 0) this.#sink.onStream(chunkOf(payload, false, channel));
  }

  #collect({ bytes, isText, isLast }: MessagePart): void {
    if (!this.#message.add(bytes)) {
      this.#violate("the cluster sent a message that is too large");
      return;
    }
    if (isLast) this.#deliver(this.#message.take(), isText);
  }

  #deliver(bytes: Uint8Array, isText: boolean): void {
    if (!isText) {
      this.#sink.onMessage(bytes, decodeMessage(this.#framing, bytes));
      return;
    }
    const text = decodeUtf8(bytes);
    if (text === undefined) this.#violate("the cluster sent a text message that is not UTF-8");
    else this.#sink.onMessage(text, this.#decodeText(text, bytes));
  }

  /** @param bytes of the text: where the channel is their first, they are the payload already */
  #decodeText(text: string, bytes: Uint8Array): Chunk {
    if (this.#framing.kind !== "channels") return chunkOf(bytes, true);
    if (this.#framing.protocol.encoding === "base64") return decodeMessage(this.#framing, text);
    return chunkOf(bytes.subarray(1), true, bytes[0]);
  }

  #violate(violation: string): void {
    this.#hasEnded = true;
    this.#message.take();
    this.#sink.onViolation(violation);
  }
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    // Otherwise a byte order mark at the beginning would get lost.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes of a message. */
export function sizeOf(message: Message): number {
  return typeof message === "string" ? utf8Length(message) : message.byteLength;
}

/** A message as bytes: text as UTF-8. Not copied. */
export function bytesOf(message: ArrayBuffer | Uint8Array | string): Uint8Array {
  if (typeof message === "string") return utf8.encode(message);
  return message instanceof Uint8Array ? message : new Uint8Array(message);
}
