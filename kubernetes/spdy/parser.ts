import { SpdyError } from "./errors.ts";
import {
  CONTROL_TYPE,
  FLAG_CLEAR_SETTINGS,
  FLAG_FIN,
  FLAG_UNIDIRECTIONAL,
  FRAME_HEAD_BYTES,
  SPDY_VERSION,
  type SpdyFrame,
} from "./frames.ts";
import { HeaderBlockReader, readUint32 } from "./header-block.ts";

/** A SYN_STREAM of port-forward is under 100 bytes. Only control frames are held back whole, so only they need a limit. */
export const DEFAULT_MAX_FRAME_BYTES = 64 * 1024;

const NO_DATA = new Uint8Array(0);
const STREAM_ID_MASK = 0x7fff_ffff;

export interface SpdyParserLimits {
  /** Longest body of a control frame, in bytes. DATA is handed on as it comes and never collected. */
  readonly maxFrameBytes?: number;
  /** Longest inflated header block, in bytes. */
  readonly maxHeaderBytes?: number;
}

/**
 * Reads ONE direction of a SPDY connection from bytes cut anywhere. Holds at most one control frame. After it has
 * thrown a SpdyError the direction is lost: framing and header context can no longer be trusted.
 */
export class SpdyFrameParser {
  readonly #maxFrameBytes: number;
  readonly #headers: HeaderBlockReader;
  /** The frame that is being collected, or its head as long as its length is unknown; filled up to `#heldBytes`. */
  #held = new Uint8Array(FRAME_HEAD_BYTES);
  #heldBytes = 0;
  #data: { streamId: number; fin: boolean; remaining: number } | undefined;
  #failed: SpdyError | undefined;

  constructor(limits: SpdyParserLimits = {}) {
    this.#maxFrameBytes = limits.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
    this.#headers = new HeaderBlockReader(limits.maxHeaderBytes);
  }

  /**
   * Takes the next bytes and gives the frames they complete, plus the pieces of DATA in them. The data of a frame may
   * be a view into `chunk`. Throws SpdyError on a broken stream, and again on every later call.
   */
  push(chunk: Uint8Array): SpdyFrame[] {
    if (this.#failed !== undefined) throw this.#failed;
    const frames: SpdyFrame[] = [];
    try {
      let at = 0;
      while (at < chunk.length)
        at = this.#data === undefined ? this.#takeHeld(chunk, at, frames) : this.#takeData(chunk, at, frames);
    } catch (error) {
      if (error instanceof SpdyError) this.#failed = error;
      throw error;
    }
    return frames;
  }

  /** Whether everything pushed so far ends with a whole frame, so that another could follow. */
  get atFrameBorder(): boolean {
    return this.#failed === undefined && this.#data === undefined && this.#heldBytes === 0;
  }

  #takeData(chunk: Uint8Array, at: number, frames: SpdyFrame[]): number {
    const current = this.#data;
    if (current === undefined) return at;
    const end = Math.min(chunk.length, at + current.remaining);
    current.remaining -= end - at;
    const last = current.remaining === 0;
    if (last) this.#data = undefined;
    frames.push({ type: "DATA", streamId: current.streamId, fin: last && current.fin, data: chunk.subarray(at, end) });
    return end;
  }

  #takeHeld(chunk: Uint8Array, at: number, frames: SpdyFrame[]): number {
    const end = Math.min(chunk.length, at + this.#held.length - this.#heldBytes);
    // Copied: what stays after push() returns must not alias the caller's buffer, which may be used again. One by one,
    // since a head is 8 bytes and a view of it costs more than they do.
    for (let from = at; from < end; from++) this.#held[this.#heldBytes++] = chunk[from] ?? 0;
    if (this.#heldBytes === this.#held.length) this.#takeWhole(frames);
    return end;
  }

  #takeWhole(frames: SpdyFrame[]): void {
    const held = this.#held;
    const isControl = (readUint32(held, 0) & 0x8000_0000) !== 0;
    const length = readUint32(held, 4) & 0x00ff_ffff;
    const flags = held[4] ?? 0;

    if (isControl && held.length === FRAME_HEAD_BYTES) this.#checkControlHead(held, length);
    if (isControl && held.length < FRAME_HEAD_BYTES + length) {
      this.#held = new Uint8Array(FRAME_HEAD_BYTES + length);
      this.#held.set(held);
      return;
    }
    if (held.length > FRAME_HEAD_BYTES) this.#held = new Uint8Array(FRAME_HEAD_BYTES);
    this.#heldBytes = 0;
    if (isControl) {
      const frame = this.#decode(readUint32(held, 0) & 0xffff, flags, held.subarray(FRAME_HEAD_BYTES));
      if (frame !== undefined) frames.push(frame);
      return;
    }
    const streamId = readUint32(held, 0);
    const fin = (flags & FLAG_FIN) !== 0;
    if (length === 0) frames.push({ type: "DATA", streamId, fin, data: NO_DATA });
    else this.#data = { streamId, fin, remaining: length };
  }

  #checkControlHead(head: Uint8Array, length: number): void {
    const version = (readUint32(head, 0) >>> 16) & 0x7fff;
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
