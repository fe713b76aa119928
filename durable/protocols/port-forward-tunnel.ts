import type { Traffic } from "../../audit/events.ts";
import { concatBytes } from "../../common/bytes.ts";
import { encodeDataHead } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { type DataFrame, headerValue, type SpdyFrame, type SynStreamFrame } from "../../kubernetes/spdy/frames.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import type { Chunk } from "./chunk.ts";
import { type ErrorText, type ForwardAccount, ForwardLedger } from "./forward-ledger.ts";
import { type Observation, type Observer, observationOf } from "./observer.ts";

/** SPDY/3.1 bytes in binary messages. A message may hold a part of a frame, or several frames (KEP-4006). */
export const PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io";

/** Bounds the memory for streams that a client never closes. Two make a connection. */
const MAX_FOLLOWED_STREAMS = 2_048;
/** A message may have 32 MiB and a frame 8 bytes: parsed at once, it would become millions of objects. */
const READ_BYTES = 64 * 1024;
/** kubectl prints an error once the data of its connection has ended, and then closes by itself. */
const LINGER_MS = 500;

interface Stream {
  readonly type: "data" | "error";
  readonly account: ForwardAccount;
  clientIsDone: boolean;
  upstreamIsDone: boolean;
  hasFailed: boolean;
  /** Where more of the error's text goes: on the first error stream of a port with an error. */
  errorText: ErrorText | undefined;
}

/**
 * Observes a port-forward: each forwarded connection is two SPDY streams, one for data and one for errors.
 * The client opens them with the headers `streamtype` and `port`.
 */
export class PortForwardTunnelObserver implements Observer {
  #client: SpdyFrameParser | undefined = new SpdyFrameParser();
  #upstream: SpdyFrameParser | undefined = new SpdyFrameParser();
  readonly #ledger: ForwardLedger;
  readonly #streams = new Map<number, Stream>();
  #lastStreamId = -1;
  #hasUnfollowed = false;

  /** @param onNewPort called before the first connection to a port reaches the cluster */
  constructor(onNewPort: (port: number) => void) {
    this.#ledger = new ForwardLedger(onNewPort);
  }

  get lingerMs(): number {
    return this.#unfinished().length > 0 ? LINGER_MS : 0;
  }

  /** kubectl pings every 10 s inside the tunnel as long as it runs, which is not use of the session. */
  fromClient(chunk: Chunk): Observation {
    const observation = this.#client && read(this.#client, chunk, (frame) => this.#takeFromClient(frame));
    if (observation === undefined) this.#client = undefined;
    return observation ?? observationOf(chunk);
  }

  fromUpstream(chunk: Chunk): Observation {
    const observation = this.#upstream && read(this.#upstream, chunk, (frame) => this.#takeFromUpstream(frame));
    if (observation === undefined) this.#upstream = undefined;
    return observation ?? observationOf(chunk);
  }

  finalStatus(): undefined {
    return undefined;
  }

  traffic(): Traffic {
    const isReadable = this.#client !== undefined && this.#upstream !== undefined;
    return { forwards: this.#ledger.summary(), ...(!isReadable && { unreadable: true }) };
  }

  /**
   * kubectl shows what arrives on the error stream of an open connection once the connection's data has
   * ended. Without an open connection there is no stream for it, and a half-sent frame cannot be interrupted.
   * kubectl then prints `lost connection to pod`.
   */
  goodbyeFrames(message: string): Uint8Array<ArrayBuffer>[] {
    if (!this.#upstream?.isAtFrameBoundary) return [];
    const text = new TextEncoder().encode(message);
    return this.#unfinished().map(([streamId, { type }]) =>
      finalFrame(streamId, type === "error" ? text : new Uint8Array(0)),
    );
  }

  #unfinished(): [number, Stream][] {
    return [...this.#streams].filter(([, { upstreamIsDone }]) => !upstreamIsDone);
  }

  #takeFromClient(frame: SpdyFrame): void {
    if (frame.type === "RST_STREAM") this.#streams.delete(frame.streamId);
    if (frame.type === "SYN_STREAM") this.#open(frame);
    if (frame.type === "DATA") {
      const stream = this.#streams.get(frame.streamId);
      if (stream?.type === "data") stream.account.bytesIn += frame.data.length;
      else if (!stream && this.#hasUnfollowed) this.#ledger.rest.bytesIn += frame.data.length;
    }
    if ("fin" in frame && frame.fin) this.#finish(frame.streamId, "client");
  }

  #takeFromUpstream(frame: SpdyFrame): void {
    if (frame.type === "RST_STREAM") this.#streams.delete(frame.streamId);
    if (frame.type === "DATA") this.#takeUpstreamData(frame);
    if ("fin" in frame && frame.fin) this.#finish(frame.streamId, "upstream");
  }

  #takeUpstreamData({ streamId, data }: DataFrame): void {
    const stream = this.#streams.get(streamId);
    if (!stream) {
      if (this.#hasUnfollowed) this.#ledger.rest.bytesOut += data.length;
    } else if (stream.type === "data") {
      stream.account.bytesOut += data.length;
    } else if (data.length > 0) {
      if (stream.hasFailed) stream.errorText?.add(data);
      else stream.errorText = stream.account.failed(data);
      stream.hasFailed = true;
    }
  }

  /** Accepts or ignores a stream as the cluster does (moby/spdystream, and the kubelet behind it). */
  #open({ streamId, headers }: SynStreamFrame): void {
    const port = readPort(headerValue(headers, "port"));
    const type = headerValue(headers, "streamtype");
    // The cluster refuses an id that does not go up. To accept it here would count bytes for another port.
    if (streamId < this.#lastStreamId + 2) return;
    this.#lastStreamId = streamId;
    if (port === undefined || (type !== "data" && type !== "error")) return;
    const account = this.#ledger.account(port);
    if (type === "data") account.connections++;
    if (this.#streams.size >= MAX_FOLLOWED_STREAMS) {
      this.#hasUnfollowed = true;
      return;
    }
    const stream = { clientIsDone: false, upstreamIsDone: false, hasFailed: false, errorText: undefined };
    this.#streams.set(streamId, { type, account, ...stream });
  }

  #finish(streamId: number, side: "client" | "upstream"): void {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    if (side === "client") stream.clientIsDone = true;
    else stream.upstreamIsDone = true;
    // Nobody reads what the client sends on an error stream.
    const isOver = stream.upstreamIsDone && (stream.clientIsDone || stream.type === "error");
    if (isOver) this.#streams.delete(streamId);
  }
}

/** Parses as `strconv.ParseUint(value, 10, 16)` does; the kubelet requires it to be above 0. */
function readPort(value: string | undefined): number | undefined {
  if (value === undefined || !/^[0-9]+$/.test(value)) return undefined;
  const port = Number(value);
  return port >= 1 && port <= 0xffff ? port : undefined;
}

function finalFrame(streamId: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  return concatBytes([encodeDataHead(streamId, data.length, true), data]);
}

/**
 * Parses a chunk.
 *
 * @returns whether it counts as use of the session; undefined once the stream does not fit its protocol. It
 *   is then relayed unchanged, and every byte counts as use
 */
function read(
  parser: SpdyFrameParser,
  { payload: bytes, isText }: Chunk,
  take: (frame: SpdyFrame) => void,
): Observation | undefined {
  if (isText) return undefined;
  let isUse = false;
  try {
    for (let at = 0; at < bytes.length; at += READ_BYTES) {
      for (const frame of parser.push(bytes.subarray(at, at + READ_BYTES))) {
        take(frame);
        isUse ||= frame.type === "SYN_STREAM" || (frame.type === "DATA" && frame.data.length > 0);
      }
    }
  } catch (error) {
    if (error instanceof SpdyError) return undefined;
    throw error;
  }
  return isUse ? "use" : "idle";
}
