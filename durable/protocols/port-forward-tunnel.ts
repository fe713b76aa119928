import { encodeDataHead } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { headerValue, type SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import { type Message, type Observer, sizeOf } from "./observer.ts";

/** SPDY/3.1 bytes in binary messages; a message may hold a part of a frame, or several (KEP-4006). */
export const PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io";

/** Streams that kubectl forgets to close must not grow this without bound. */
const MAX_ERROR_STREAMS = 1_024;

/**
 * Follows a port-forward: each forwarded connection is two SPDY streams, one for data and one for errors, opened by
 * the client with the headers `streamtype` and `port`.
 */
export class PortForwardTunnelObserver implements Observer {
  #client: SpdyFrameParser | undefined = new SpdyFrameParser();
  #upstream: SpdyFrameParser | undefined = new SpdyFrameParser();
  readonly #errorStreams = new Set<number>();

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
      if ("fin" in frame && frame.fin) this.#errorStreams.delete(frame.streamId);
    }
    return frames.some(isUse);
  }

  finalStatus(): undefined {
    return undefined;
  }

  /**
   * kubectl shows what arrives on the error stream of an open connection. With no connection open there is nothing to
   * say it on, and with a frame half sent there is no place to put it; kubectl then says `lost connection to pod`.
   */
  farewell(words: string): Uint8Array<ArrayBuffer>[] {
    if (!this.#upstream?.atFrameBorder) return [];
    const text = new TextEncoder().encode(words);
    return [...this.#errorStreams].map((streamId) => {
      const head = encodeDataHead(streamId, text.length, true);
      const frame = new Uint8Array(head.length + text.length);
      frame.set(head);
      frame.set(text, head.length);
      return frame;
    });
  }

  #follow(frame: SpdyFrame): void {
    if (frame.type === "SYN_STREAM" && headerValue(frame.headers, "streamtype") === "error") {
      if (this.#errorStreams.size < MAX_ERROR_STREAMS) this.#errorStreams.add(frame.streamId);
    }
    if (frame.type === "RST_STREAM") this.#errorStreams.delete(frame.streamId);
  }
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
