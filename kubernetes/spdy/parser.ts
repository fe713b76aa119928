import { SpdyError } from "./errors.ts";
import {
  CONTROL_TYPE,
  FLAG_CLEAR_SETTINGS,
  FLAG_FIN,
  FLAG_UNIDIRECTIONAL,
  FRAME_HEADER_BYTES,
  SPDY_VERSION,
  type SpdyFrame,
  type SynStreamFrame,
} from "./frames.ts";
import { HeaderBlockReader, readUint32 } from "./header-block.ts";
import { type SpdyWork, WorkBudget } from "./work.ts";

/**
 * Only control frames are buffered, so only they have a limit. A SYN_STREAM of port-forward is under 100
 * bytes.
 */
export const DEFAULT_MAX_FRAME_BYTES = 4 * 1024;

const NO_DATA = new Uint8Array(0);
const STREAM_ID_MASK = 0x7fff_ffff;
const SETTINGS_COUNT_BYTES = 4;
const SETTING_BYTES = 8;

type ControlType = keyof typeof CONTROL_TYPE;

const TYPE_OF_NUMBER = new Map(
  Object.entries(CONTROL_TYPE).map(([type, number]) => [number, type as ControlType] as const),
);

/**
 * The length of bodies that always have the same. spdystream takes as much, whatever the frame's header says.
 */
const FIXED_LENGTH: Partial<Record<ControlType, number>> = { RST_STREAM: 8, PING: 4, GOAWAY: 8, WINDOW_UPDATE: 8 };
/** The least length of the others. */
const LEAST_LENGTH: Partial<Record<ControlType, number>> = {
  SYN_STREAM: 10,
  SYN_REPLY: 4,
  HEADERS: 4,
  SETTINGS: SETTINGS_COUNT_BYTES,
};
const WITHOUT_FLAGS: ReadonlySet<ControlType> = new Set(["PING", "GOAWAY", "WINDOW_UPDATE"]);

/** spdystream ends a connection whose SYN_STREAM has one of them. */
const FORBIDDEN_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
]);

export interface SpdyParserOptions {
  /** Largest body of a control frame. DATA is never buffered. */
  readonly maxFrameBytes?: number;
  /** Largest inflated header block. */
  readonly maxHeaderBytes?: number;
  /**
   * The types of control frames that may come. Others are refused by their first bytes. All types by default.
   */
  readonly controlTypes?: ReadonlySet<ControlType>;
  /** The most work for one call. */
  readonly work?: Partial<SpdyWork>;
}

/**
 * Parses ONE direction of a SPDY connection from chunks of any size. Buffers at most one control frame.
 * Unusable after a SpdyError, because framing and header context are lost.
 *
 * What it accepts, it reads as moby/spdystream does, which both kubectl and the kubelet use. Anything that
 * the two might read differently is an error. spdystream ignores the version and the length of some frames,
 * for example: bytes that another reader skips as the rest of a PING are frames to the kubelet.
 */
export class SpdyFrameParser {
  readonly #maxFrameBytes: number;
  readonly #controlTypes: ReadonlySet<ControlType> | undefined;
  readonly #budget: WorkBudget;
  readonly #headers: HeaderBlockReader;
  /** The beginning of a frame. It is kept for the next one. */
  #buffer = new Uint8Array(64);
  #bufferedBytes = 0;
  /** How long the frame is, as far as its first bytes say. */
  #neededBytes = FRAME_HEADER_BYTES;
  #data: { streamId: number; fin: boolean; remaining: number } | undefined;
  #failed: SpdyError | undefined;

  constructor({ maxFrameBytes, maxHeaderBytes, controlTypes, work }: SpdyParserOptions = {}) {
    this.#maxFrameBytes = maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES;
    this.#controlTypes = controlTypes;
    this.#budget = new WorkBudget(work);
    this.#headers = new HeaderBlockReader(maxHeaderBytes, this.#budget);
  }

  /**
   * Parses the next bytes.
   *
   * @param take gets the frames that they complete, and the DATA in them, which may be a view into `chunk`
   * @throws SpdyError for an invalid stream, and again on every later call
   */
  parse(chunk: Uint8Array, take: (frame: SpdyFrame) => void): void {
    if (this.#failed !== undefined) throw this.#failed;
    this.#budget.renew();
    try {
      let at = 0;
      while (at < chunk.length) {
        at = this.#data === undefined ? this.#readBuffered(chunk, at, take) : this.#readData(chunk, at, take);
      }
    } catch (error) {
      if (error instanceof SpdyError) this.#failed = error;
      throw error;
    }
  }

  /** Like `parse`, for callers to whom a list of all frames is not too long. */
  push(chunk: Uint8Array): SpdyFrame[] {
    const frames: SpdyFrame[] = [];
    this.parse(chunk, (frame) => frames.push(frame));
    return frames;
  }

  /** Whether the bytes so far end with a complete frame. */
  get isAtFrameBoundary(): boolean {
    return this.#failed === undefined && this.#data === undefined && this.#bufferedBytes === 0;
  }

  /** What the last call cost. */
  get work(): SpdyWork {
    return this.#budget.done;
  }

  #readData(chunk: Uint8Array, at: number, take: (frame: SpdyFrame) => void): number {
    const current = this.#data;
    if (current === undefined) return at;
    const end = Math.min(chunk.length, at + current.remaining);
    current.remaining -= end - at;
    const last = current.remaining === 0;
    if (last) this.#data = undefined;
    take({ type: "DATA", streamId: current.streamId, fin: last && current.fin, data: chunk.subarray(at, end) });
    return end;
  }

  #readBuffered(chunk: Uint8Array, at: number, take: (frame: SpdyFrame) => void): number {
    const end = Math.min(chunk.length, at + this.#neededBytes - this.#bufferedBytes);
    // A copy, because the caller may reuse its buffer after the call. Byte by byte, because for the 8 bytes
    // of a header a view costs more.
    for (let from = at; from < end; from++) this.#buffer[this.#bufferedBytes++] = chunk[from] ?? 0;
    if (this.#bufferedBytes === this.#neededBytes) this.#finishBuffered(take);
    return end;
  }

  #finishBuffered(take: (frame: SpdyFrame) => void): void {
    const frame = this.#buffer;
    const isHeader = this.#neededBytes === FRAME_HEADER_BYTES;
    if (isHeader) this.#budget.spend("frames");
    const isControl = (readUint32(frame, 0) & 0x8000_0000) !== 0;
    if (!isControl) {
      this.#bufferedBytes = 0;
      this.#startData(frame, take);
      return;
    }
    const length = readUint32(frame, 4) & 0x00ff_ffff;
    const type = isHeader ? this.#checkControlHeader(frame, length) : this.#typeOf(frame);
    if (type === "SETTINGS" && !isHeader) checkSettingsCount(frame, length);
    const whole = FRAME_HEADER_BYTES + length;
    if (this.#neededBytes < whole) {
      // spdystream makes room for all settings once it has their number, so that is checked on its own.
      this.#await(type === "SETTINGS" && isHeader ? FRAME_HEADER_BYTES + SETTINGS_COUNT_BYTES : whole);
      return;
    }
    this.#neededBytes = FRAME_HEADER_BYTES;
    this.#bufferedBytes = 0;
    take(this.#decode(type, frame[4] ?? 0, frame.subarray(FRAME_HEADER_BYTES, whole)));
  }

  #await(bytes: number): void {
    this.#neededBytes = bytes;
    if (bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(bytes);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }

  #startData(header: Uint8Array, take: (frame: SpdyFrame) => void): void {
    const streamId = readUint32(header, 0);
    if (streamId === 0) throw new SpdyError("bad-frame", "DATA of stream 0");
    const fin = ((header[4] ?? 0) & FLAG_FIN) !== 0;
    const length = readUint32(header, 4) & 0x00ff_ffff;
    if (length === 0) take({ type: "DATA", streamId, fin, data: NO_DATA });
    else this.#data = { streamId, fin, remaining: length };
  }

  #typeOf(frame: Uint8Array): ControlType {
    const number = readUint32(frame, 0) & 0xffff;
    const type = TYPE_OF_NUMBER.get(number);
    // Section 2.2.1 of the draft wants it ignored; spdystream ends the connection.
    if (type === undefined) throw new SpdyError("bad-frame", `a frame of the unknown type ${number}`);
    return type;
  }

  #checkControlHeader(header: Uint8Array, length: number): ControlType {
    const version = (readUint32(header, 0) >>> 16) & 0x7fff;
    if (version !== SPDY_VERSION) throw new SpdyError("bad-version", `SPDY version ${version}, not ${SPDY_VERSION}`);
    const type = this.#typeOf(header);
    if (this.#controlTypes?.has(type) === false) throw new SpdyError("unexpected-frame", `a ${type} frame`);
    if (length > this.#maxFrameBytes) {
      throw new SpdyError("frame-too-large", `a ${type} frame of ${length} bytes, more than ${this.#maxFrameBytes}`);
    }
    const isTooShort = length < (LEAST_LENGTH[type] ?? 0);
    if (isTooShort || length !== (FIXED_LENGTH[type] ?? length)) {
      throw new SpdyError("bad-frame", `a ${type} frame of ${length} bytes`);
    }
    const flags = header[4] ?? 0;
    if (flags !== 0 && WITHOUT_FLAGS.has(type)) throw new SpdyError("bad-frame", `a ${type} frame with flags`);
    return type;
  }

  #decode(type: ControlType, flags: number, body: Uint8Array): SpdyFrame {
    const fin = (flags & FLAG_FIN) !== 0;
    switch (type) {
      case "SYN_STREAM":
        return this.#decodeSynStream(flags, body);
      case "SYN_REPLY":
      case "HEADERS":
        return { type, streamId: streamIdOf(type, body), fin, headers: this.#headers.read(body.subarray(4)) };
      case "RST_STREAM": {
        const status = readUint32(body, 4);
        if (status === 0) throw new SpdyError("bad-frame", "a RST_STREAM frame with status 0");
        return { type, streamId: streamIdOf(type, body), status };
      }
      case "SETTINGS":
        return decodeSettings(flags, body);
      case "PING": {
        const id = readUint32(body, 0);
        if (id === 0) throw new SpdyError("bad-frame", "a PING frame with id 0");
        return { type, id };
      }
      case "GOAWAY":
        return { type, lastStreamId: readUint32(body, 0) & STREAM_ID_MASK, status: readUint32(body, 4) };
      case "WINDOW_UPDATE":
        return {
          type,
          streamId: readUint32(body, 0) & STREAM_ID_MASK,
          delta: readUint32(body, 4) & STREAM_ID_MASK,
        };
    }
  }

  #decodeSynStream(flags: number, body: Uint8Array): SynStreamFrame {
    const headers = this.#headers.read(body.subarray(10));
    const forbidden = headers.find(([name]) => FORBIDDEN_HEADERS.has(name));
    if (forbidden) throw new SpdyError("bad-header-block", `a SYN_STREAM frame with the header ${forbidden[0]}`);
    return {
      type: "SYN_STREAM",
      streamId: streamIdOf("SYN_STREAM", body),
      associatedStreamId: readUint32(body, 4) & STREAM_ID_MASK,
      priority: (body[8] ?? 0) >> 5,
      fin: (flags & FLAG_FIN) !== 0,
      unidirectional: (flags & FLAG_UNIDIRECTIONAL) !== 0,
      headers,
    };
  }
}

/** The first bit is part of the id to spdystream, and the stream then another, or refused. */
function streamIdOf(type: ControlType, body: Uint8Array): number {
  const streamId = readUint32(body, 0);
  if (streamId === 0 || streamId > STREAM_ID_MASK) throw new SpdyError("bad-frame", `${type} of stream ${streamId}`);
  return streamId;
}

function checkSettingsCount(frame: Uint8Array, length: number): void {
  const count = readUint32(frame, FRAME_HEADER_BYTES);
  if (length !== SETTINGS_COUNT_BYTES + SETTING_BYTES * count) {
    throw new SpdyError("bad-frame", `a SETTINGS frame of ${length} bytes with ${count} entries`);
  }
}

function decodeSettings(flags: number, body: Uint8Array): SpdyFrame {
  const settings = Array.from({ length: readUint32(body, 0) }, (_, index) => {
    const at = SETTINGS_COUNT_BYTES + SETTING_BYTES * index;
    return { flags: body[at] ?? 0, id: readUint32(body, at) & 0x00ff_ffff, value: readUint32(body, at + 4) };
  });
  return { type: "SETTINGS", clearPersisted: (flags & FLAG_CLEAR_SETTINGS) !== 0, settings };
}
