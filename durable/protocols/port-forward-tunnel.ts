import { encodeDataHead } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { headerValue, type SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { type Message, type Observer, sizeOf } from "./observer.ts";

/** SPDY/3.1 bytes in binary messages; a message may hold a part of a frame, or several (KEP-4006). */
export const PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io";

/** Streams that a client never closes must not grow this without bound. */
const MAX_FOLLOWED_STREAMS = 2_048;
/** kubectl prints an error once its connection's data is over, then hangs up by itself. */
const LINGER_MS = 500;

/**
 * Follows a port-forward: each forwarded connection is two SPDY streams, one for data and one for errors, opened by
 * the client with the headers `streamtype` and `port`.
 */
export class PortForwardTunnelObserver implements Observer {
  #client: SpdyFrameParser | undefined = new SpdyFrameParser();
  #upstream: SpdyFrameParser | undefined = new SpdyFrameParser();
  /** Streams that the upstream has not finished. */
  readonly #open = new Map<number, "data" | "error">();

  get lingerMs(): number {
    return this.#open.size > 0 ? LINGER_MS : 0;
  }

  /** kubectl pings every 10 s inside the tunnel for as long as it runs: that is no use of it. */
  fromClient(message: Message): boolean {
    const frames = this.#client && read(this.#client, message);
    if (!frames) {
      this.#client = undefined;
      return sizeOf(message) > 0;
    }
    for (const frame of frames) this.#follow(frame);
    return frames.some(isUse);
  }

  fromUpstream(message: Message): boolean {
    const frames = this.#upstream && read(this.#upstream, message);
    if (!frames) {
      this.#upstream = undefined;
      return sizeOf(message) > 0;
    }
    for (const frame of frames) {
      if ("fin" in frame && frame.fin) this.#open.delete(frame.streamId);
    }
    return frames.some(isUse);
  }

  finalStatus(): undefined {
    return undefined;
  }

  /**
   * kubectl shows what arrives on the error stream of an open connection once that connection's data has ended. With no
   * connection open there is nothing to say it on, and with a frame half sent there is no place to put it; kubectl then
   * says `lost connection to pod`.
   */
  farewell(words: string): Uint8Array<ArrayBuffer>[] {
    if (!this.#upstream?.atFrameBorder) return [];
    const text = new TextEncoder().encode(words);
    return [...this.#open].map(([streamId, streamType]) =>
      finalFrame(streamId, streamType === "error" ? text : new Uint8Array(0)),
    );
  }

  #follow(frame: SpdyFrame): void {
    if (frame.type === "RST_STREAM") this.#open.delete(frame.streamId);
    if (frame.type !== "SYN_STREAM" || this.#open.size >= MAX_FOLLOWED_STREAMS) return;
    this.#open.set(frame.streamId, headerValue(frame.headers, "streamtype") === "error" ? "error" : "data");
  }
}

function finalFrame(streamId: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = encodeDataHead(streamId, data.length, true);
  const frame = new Uint8Array(head.length + data.length);
  frame.set(head);
  frame.set(data, head.length);
  return frame;
}

/** @returns undefined once the stream cannot be understood: it is then relayed as it is, and any byte counts as use */
function read(parser: SpdyFrameParser, message: Message): SpdyFrame[] | undefined {
  if (typeof message === "string") return undefined;
  try {
    return parser.push(new Uint8Array(message));
  } catch (error) {
    if (error instanceof SpdyError) return undefined;
    throw error;
  }
}

function isUse(frame: SpdyFrame): boolean {
  return frame.type === "SYN_STREAM" || (frame.type === "DATA" && frame.data.length > 0);
}
