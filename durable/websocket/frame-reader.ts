import { concatBytes } from "../../common/bytes.ts";
import { CloseCode, isSendableCloseCode } from "../../common/close-codes.ts";
import {
  type DataOpcode,
  FIN,
  LENGTH_BITS,
  MASKED,
  MAX_CONTROL_BYTES,
  OPCODE_BITS,
  Opcode,
  RESERVED_BITS,
  WebSocketProtocolError,
} from "./protocol.ts";

/** Where a reader delivers what it reads, in the order of the wire. */
export interface FrameSink {
  /**
   * A piece of a message. Pieces follow the chunks of the byte stream, not the frames: a message is delivered
   * as it arrives, so that nothing of it has to be kept.
   *
   * @param payload a view of the chunk that was pushed: copy what must outlive the call. Empty only where a
   *   message, or its last frame, is.
   * @param isFirst whether the message begins here
   * @param isLast whether the message ends here
   */
  onData(opcode: DataOpcode, payload: Uint8Array, isFirst: boolean, isLast: boolean): void;
  /** @param payload a copy */
  onPing(payload: Uint8Array): void;
  /** @param payload a copy */
  onPong(payload: Uint8Array): void;
  /** The peer's close frame; nothing is delivered after it. */
  onClose(code: number, reason: string): void;
}

/** The longest head of an unmasked frame: 2 bytes and an extended length of 8. */
const MAX_HEAD_BYTES = 10;

/**
 * Reads the frames that a WebSocket server sends (RFC 6455), from chunks of any size. It keeps a frame's head
 * or a control frame's payload at most; data passes through.
 *
 * Text is not checked to be UTF-8: only whole messages can be, and only `onData`'s receiver has these.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headBytes = 0;
  /** Of the frame whose payload is being read; undefined between frames. */
  #opcode: number | undefined;
  #isFin = false;
  #remaining = 0;
  /** Of the message that is being read; undefined between messages. */
  #message: DataOpcode | undefined;
  #isMessageStart = false;
  #control: Uint8Array[] = [];
  #isClosed = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Whether the stream may end here without cutting a frame or a message. */
  get isAtMessageBoundary(): boolean {
    return this.#opcode === undefined && this.#headBytes === 0 && this.#message === undefined;
  }

  /**
   * Takes the next bytes of the stream.
   *
   * @throws WebSocketProtocolError where the peer breaks RFC 6455; nothing may be pushed after that
   */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#isClosed) {
      if (this.#opcode === undefined) {
        at = this.#readHead(chunk, at);
        // A frame without payload is complete with its head.
        if (this.#opcode !== undefined && this.#remaining === 0) this.#takePayload(chunk.subarray(0, 0));
      } else {
        const end = Math.min(chunk.length, at + this.#remaining);
        const payload = chunk.subarray(at, end);
        at = end;
        this.#remaining -= payload.length;
        this.#takePayload(payload);
      }
    }
  }

  #readHead(chunk: Uint8Array, from: number): number {
    let at = from;
    let wanted = this.#headLength();
    while (this.#headBytes < wanted && at < chunk.length) {
      this.#head[this.#headBytes++] = chunk[at++] ?? 0;
      if (this.#headBytes === 2) wanted = this.#headLength();
    }
    if (this.#headBytes === wanted) this.#beginFrame();
    return at;
  }

  #headLength(): number {
    if (this.#headBytes < 2) return 2;
    switch ((this.#head[1] ?? 0) & LENGTH_BITS) {
      case 126:
        return 4;
      case 127:
        return 10;
      default:
        return 2;
    }
  }

  #beginFrame(): void {
    const [first = 0, second = 0] = this.#head;
    this.#headBytes = 0;
    const opcode = first & OPCODE_BITS;
    this.#isFin = (first & FIN) !== 0;
    // No extension was offered, so no reserved bit has a meaning (section 5.2).
    if ((first & RESERVED_BITS) !== 0) throw protocolError("a reserved bit is set");
    if ((second & MASKED) !== 0) throw protocolError("a server's frame is masked");
    this.#remaining = this.#payloadLength();
    switch (opcode) {
      case Opcode.text:
      case Opcode.binary:
        if (this.#message !== undefined) throw protocolError("a message begins inside another one");
        this.#message = opcode;
        this.#isMessageStart = true;
        break;
      case Opcode.continuation:
        if (this.#message === undefined) throw protocolError("a continuation without a message");
        break;
      case Opcode.close:
      case Opcode.ping:
      case Opcode.pong:
        if (!this.#isFin) throw protocolError("a control frame is fragmented");
        if (this.#remaining > MAX_CONTROL_BYTES) throw protocolError("a control frame is too long");
        break;
      default:
        throw protocolError(`unknown opcode ${opcode}`);
    }
    this.#opcode = opcode;
  }

  #payloadLength(): number {
    const view = new DataView(this.#head.buffer);
    const short = view.getUint8(1) & LENGTH_BITS;
    if (short < 126) return short;
    const length = short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
    // Section 5.2: the fewest bytes that hold it, and the highest bit of 64 is zero.
    if (length < (short === 126 ? 126 : 0x1_0000)) throw protocolError("a length is not written in the shortest form");
    if (length > Number.MAX_SAFE_INTEGER) throw protocolError("a length is too large");
    return length;
  }

  #takePayload(payload: Uint8Array): void {
    const isFrameEnd = this.#remaining === 0;
    const opcode = this.#opcode;
    if (isFrameEnd) this.#opcode = undefined;
    if (opcode === Opcode.continuation || opcode === Opcode.text || opcode === Opcode.binary) {
      this.#deliverData(payload, isFrameEnd && this.#isFin);
    } else {
      this.#control.push(payload.slice());
      if (isFrameEnd) this.#deliverControl(opcode);
    }
  }

  #deliverData(payload: Uint8Array, isLast: boolean): void {
    const message = this.#message;
    if (message === undefined) return;
    const isFirst = this.#isMessageStart;
    // An empty fragment says nothing, unless it begins or ends a message.
    if (payload.length === 0 && !isFirst && !isLast) return;
    this.#isMessageStart = false;
    if (isLast) this.#message = undefined;
    this.#sink.onData(message, payload, isFirst, isLast);
  }

  #deliverControl(opcode: number | undefined): void {
    const payload = concatBytes(this.#control);
    this.#control = [];
    if (opcode === Opcode.ping) this.#sink.onPing(payload);
    else if (opcode === Opcode.pong) this.#sink.onPong(payload);
    else this.#deliverClose(payload);
  }

  #deliverClose(payload: Uint8Array): void {
    this.#isClosed = true;
    if (payload.length === 0) {
      this.#sink.onClose(CloseCode.noStatus, "");
      return;
    }
    if (payload.length === 1) throw protocolError("a close frame has half a code");
    const code = new DataView(payload.buffer, payload.byteOffset).getUint16(0);
    if (!isSendableCloseCode(code)) throw protocolError(`close code ${code} must not be sent`);
    this.#sink.onClose(code, decodeReason(payload.subarray(2)));
  }
}

function decodeReason(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new WebSocketProtocolError(CloseCode.invalidPayload, "a close reason is not UTF-8");
  }
}

function protocolError(message: string): WebSocketProtocolError {
  return new WebSocketProtocolError(CloseCode.protocolError, message);
}
