/** Splits SPDY into what keeps a connection alive and what it carries, so that the latter can be held back. */
import { concatBytes } from "../../common/bytes.ts";
import { CONTROL_TYPE, FLAG_CLEAR_SETTINGS, FRAME_HEADER_BYTES, SPDY_VERSION } from "./frames.ts";
import { readUint32, uint32 } from "./header-block.ts";
import { DEFAULT_MAX_FRAME_BYTES } from "./parser.ts";

const PING_BYTES = 4;
const SETTINGS_COUNT_BYTES = 4;
const SETTING_BYTES = 8;

/** Whole frames, in the order of the wire. */
export interface GatedFrames {
  readonly bytes: Uint8Array;
  /** PING and SETTINGS: about the connection and no stream, so they may overtake everything else. */
  readonly keepsAlive: boolean;
}

/**
 * Reads one direction of a connection in pieces of any size, and gives the same frames back in whole ones. Of
 * DATA, the borders of frames have no meaning, so a frame that has not arrived completely becomes several:
 * what was given so far always ends where a frame ends, and a PING may come next.
 *
 * It decodes nothing. Whoever observes the frames finds out which are invalid; here they never overtake.
 */
export class SpdyFrameGate {
  #buffer = new Uint8Array(0);
  #data: { readonly streamId: number; readonly flags: number; remaining: number } | undefined;
  /** Where frames begin is no longer known. */
  #isLost = false;

  /** Memory of a control frame whose end has not come. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** @param chunk is copied */
  push(chunk: Uint8Array): GatedFrames[] {
    const frames: GatedFrames[] = [];
    const take = (bytes: Uint8Array, keepsAlive: boolean) => void frames.push({ bytes, keepsAlive });
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#isLost) {
        take(rest.slice(), false);
        break;
      }
      rest = this.#data ? this.#readData(this.#data, rest, take) : this.#readHead(rest, take);
    }
    return frames;
  }

  #readData(
    data: { readonly streamId: number; readonly flags: number; remaining: number },
    bytes: Uint8Array,
    take: (bytes: Uint8Array, keepsAlive: boolean) => void,
  ): Uint8Array {
    const payload = bytes.subarray(0, data.remaining);
    data.remaining -= payload.length;
    const isLast = data.remaining === 0;
    if (isLast) this.#data = undefined;
    take(concatBytes([dataHead(data.streamId, payload.length, isLast ? data.flags : 0), payload]), false);
    return bytes.subarray(payload.length);
  }

  #readHead(bytes: Uint8Array, take: (bytes: Uint8Array, keepsAlive: boolean) => void): Uint8Array {
    const needed = this.#neededBytes;
    const missing = needed - this.#buffer.length;
    this.#buffer = concatBytes([this.#buffer, bytes.subarray(0, missing)]);
    const rest = bytes.subarray(missing);
    if (this.#buffer.length < needed) return rest;
    const frame = this.#buffer;
    const length = lengthOf(frame);
    if (isData(frame)) {
      this.#buffer = new Uint8Array(0);
      if (length === 0) take(frame, false);
      else this.#data = { streamId: readUint32(frame, 0), flags: frame[4] ?? 0, remaining: length };
      return rest;
    }
    if (length > DEFAULT_MAX_FRAME_BYTES) this.#isLost = true;
    if (this.#isLost || frame.length === FRAME_HEADER_BYTES + length) {
      this.#buffer = new Uint8Array(0);
      take(frame, !this.#isLost && keepsAlive(frame));
    }
    return rest;
  }

  get #neededBytes(): number {
    if (this.#buffer.length < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    return FRAME_HEADER_BYTES + lengthOf(this.#buffer);
  }
}

/**
 * Only frames that every reader takes for the same. moby/spdystream reads 4 bytes of a PING and as many
 * settings as their number says, whatever length the frame has, and takes the rest for frames of their own.
 */
function keepsAlive(frame: Uint8Array): boolean {
  const head = readUint32(frame, 0);
  const flags = frame[4] ?? 0;
  const length = lengthOf(frame);
  if (head === controlHead("PING")) return flags === 0 && length === PING_BYTES;
  if (head !== controlHead("SETTINGS") || length < SETTINGS_COUNT_BYTES) return false;
  const count = readUint32(frame, FRAME_HEADER_BYTES);
  return (flags & ~FLAG_CLEAR_SETTINGS) === 0 && length === SETTINGS_COUNT_BYTES + SETTING_BYTES * count;
}

function controlHead(type: keyof typeof CONTROL_TYPE): number {
  return (((0x8000 | SPDY_VERSION) << 16) | CONTROL_TYPE[type]) >>> 0;
}

function isData(frame: Uint8Array): boolean {
  return ((frame[0] ?? 0) & 0x80) === 0;
}

function lengthOf(frame: Uint8Array): number {
  return readUint32(frame, 4) & 0x00ff_ffff;
}

function dataHead(streamId: number, length: number, flags: number): Uint8Array {
  return concatBytes([uint32(streamId), Uint8Array.of(flags, length >>> 16, length >>> 8, length)]);
}
