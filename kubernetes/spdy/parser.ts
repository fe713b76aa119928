import { SpdyError } from "./errors.ts";
import {
  CONTROL_TYPE,
  FLAG_CLEAR_SETTINGS,
  FLAG_FIN,
  FLAG_UNIDIRECTIONAL,
  FRAME_HEADER_BYTES,
  SPDY_VERSION,
  type SpdyFrame,
} from "./frames.ts";
import { HeaderBlockReader, readUint32 } from "./header-block.ts";

/**
 * Only control frames are buffered, so only they have a limit. A
 * SYN_STREAM of port-forward is under 100 bytes.
 */
export const DEFAULT_MAX_FRAME_BYTES = 64 * 1024;

const NO_DATA = new Uint8Array(0);
const STREAM_ID_MASK = 0x7fff_ffff;

export interface SpdyParserLimits {
  /** Largest body of a control frame. DATA is never buffered. */
  readonly maxFrameBytes?: number;
  /** Largest inflated header block. */
  readonly maxHeaderBytes?: number;
}

/**
 * Parses ONE direction of a SPDY connection from chunks of any size. Buffers at most one control frame.
 * Unusable after a SpdyError, because framing and header context are lost.
 */
export class SpdyFrameParser {
  readonly #maxFrameBytes: number;
  readonly #headers: HeaderBlockReader;
  /** The control frame that is incomplete, or only its header while its length is unknown. */
  #buffer = new Uint8Array(FRAME_HEADER_BYTES);
  #bufferedBytes = 0;
  #data: { streamId: number; fin: boolean; remaining: number } | undefined;
  #failed: SpdyError | undefined;

  constructor(limits: SpdyParserLimits = {}) {
    this.#maxFrameBytes = limits.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
    this.#headers = new HeaderBlockReader(limits.maxHeaderBytes);
  }

  /**
   * Parses the next bytes.
   *
   * @returns the frames that they complete, and the DATA in them, which may be a view into `chunk`
   * @throws SpdyError for an invalid stream, and again on every later call
   */
  push(chunk: Uint8Array): SpdyFrame[] {
    if (this.#failed !== undefined) throw this.#failed;
    const frames: SpdyFrame[] = [];
    try {
      let at = 0;
      while (at < chunk.length) {
        at = this.#data === undefined ? this.#readBuffered(chunk, at, frames) : this.#readData(chunk, at, frames);
      }
    } catch (error) {
      if (error instanceof SpdyError) this.#failed = error;
      throw error;
    }
    return frames;
  }

  /** Whether the bytes so far end with a complete frame. */
  get isAtFrameBoundary(): boolean {
    return this.#failed === undefined && this.#data === undefined && this.#bufferedBytes === 0;
  }

  #readData(chunk: Uint8Array, at: number, frames: SpdyFrame[]): number {
    const current = this.#data;
    if (current === undefined) return at;
    const end = Math.min(chunk.length, at + current.remaining);
    current.remaining -= end - at;
    const last = current.remaining === 0;
    if (last) this.#data = undefined;
    frames.push({ type: "DATA", streamId: current.streamId, fin: last && current.fin, data: chunk.subarray(at, end) });
    return end;
  }

  #readBuffered(chunk: Uint8Array, at: number, frames: SpdyFrame[]): number {
    const end = Math.min(chunk.length, at + this.#buffer.length - this.#bufferedBytes);
    // A copy, because the caller may reuse its buffer after push(). Byte by byte, because for the 8 bytes of
    // a header a view costs more.
    for (let from = at; from < end; from++) this.#buffer[this.#bufferedBytes++] = chunk[from] ?? 0;
    if (this.#bufferedBytes === this.#buffer.length) this.#finishBuffered(frames);
    return end;
  }

  #finishBuffered(frames: SpdyFrame[]): void {
    const frame = this.#buffer;
    const isControl = (readUint32(frame, 0) & 0x8000_0000) !== 0;
    const length = readUint32(frame, 4) & 0x00ff_ffff;
    const flags = frame[4] ?? 0;

    if (isControl && frame.length === FRAME_HEADER_BYTES) this.#checkControlHeader(frame, length);
    if (isControl && frame.length < FRAME_HEADER_BYTES + length) {
      this.#buffer = new Uint8Array(FRAME_HEADER_BYTES + length);
      this.#buffer.set(frame);
      return;
    }
    if (frame.length > FRAME_HEADER_BYTES) this.#buffer = new Uint8Array(FRAME_HEADER_BYTES);
    this.#bufferedBytes = 0;
    if (isControl) {
      const decoded = this.#decode(readUint32(frame, 0) & 0xffff, flags, frame.subarray(FRAME_HEADER_BYTES));
      if (decoded !== undefined) frames.push(decoded);
      return;
    }
    const streamId = readUint32(frame, 0);
    const fin = (flags & FLAG_FIN) !== 0;
    if (length === 0) frames.push({ type: "DATA", streamId, fin, data: NO_DATA });
    else this.#data = { streamId, fin, remaining: length };
  }

  #checkControlHeader(header: Uint8Array, length: number): void {
    const version = (readUint32(header, 0) >>> 16) & 0x7fff;
    if (version !== SPDY_VERSION) throw new SpdyError("bad-version", `SPDY version ${version}, not ${SPDY_VERSION}`);
    if (length > this.#maxFrameBytes) {
      throw new SpdyError("frame-too-large", `control frame of ${length} bytes, more than ${this.#maxFrameBytes}`);
    }
  }

  #decode(type: number, flags: number, body: Uint8Array): SpdyFrame | undefined {
    const fin = (flags & FLAG_FIN) !== 0;
    const streamId = readUint32(body, 0) & STREAM_ID_MASK;
    switch (type) {
      case CONTROL_TYPE.SYN_STREAM:
        needBody(body, 10);
        return {
          type: "SYN_STREAM",
          streamId,
          associatedStreamId: readUint32(body, 4) & STREAM_ID_MASK,
          priority: (body[8] ?? 0) >> 5,
          fin,
          unidirectional: (flags & FLAG_UNIDIRECTIONAL) !== 0,
          headers: this.#headers.read(body.subarray(10)),
        };
      case CONTROL_TYPE.SYN_REPLY:
        needBody(body, 4);
        return { type: "SYN_REPLY", streamId, fin, headers: this.#headers.read(body.subarray(4)) };
      case CONTROL_TYPE.RST_STREAM:
        needBody(body, 8);
        return { type: "RST_STREAM", streamId, status: readUint32(body, 4) };
      case CONTROL_TYPE.SETTINGS:
        return decodeSettings(flags, body);
      case CONTROL_TYPE.PING:
        needBody(body, 4);
        return { type: "PING", id: readUint32(body, 0) };
      case CONTROL_TYPE.GOAWAY:
        needBody(body, 8);
        return { type: "GOAWAY", lastStreamId: streamId, status: readUint32(body, 4) };
      case CONTROL_TYPE.HEADERS:
        needBody(body, 4);
        return { type: "HEADERS", streamId, fin, headers: this.#headers.read(body.subarray(4)) };
      case CONTROL_TYPE.WINDOW_UPDATE:
        needBody(body, 8);
        return { type: "WINDOW_UPDATE", streamId, delta: readUint32(body, 4) & STREAM_ID_MASK };
      default:
        // Section 2.2.1: a control frame of an unknown type is ignored.
        return undefined;
    }
  }
}

function decodeSettings(flags: number, body: Uint8Array): SpdyFrame {
  needBody(body, 4);
  const count = readUint32(body, 0);
  if (body.length !== 4 + 8 * count)
    throw new SpdyError("bad-frame", `SETTINGS of ${body.length} bytes with ${count} entries`);
  const settings = Array.from({ length: count }, (_, index) => {
    const at = 4 + 8 * index;
    return { flags: body[at] ?? 0, id: readUint32(body, at) & 0x00ff_ffff, value: readUint32(body, at + 4) };
  });
  return { type: "SETTINGS", clearPersisted: (flags & FLAG_CLEAR_SETTINGS) !== 0, settings };
}

function needBody(body: Uint8Array, bytes: number): void {
  if (body.length < bytes)
    throw new SpdyError("bad-frame", `control frame of ${body.length} bytes, less than ${bytes}`);
}
