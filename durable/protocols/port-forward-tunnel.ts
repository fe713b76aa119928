import type { Traffic } from "../../audit/events.ts";
import { concatBytes } from "../../common/bytes.ts";
import type { PortForwardPolicy } from "../../contract/limits.ts";
import { encodeDataHead } from "../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../kubernetes/spdy/errors.ts";
import { type DataFrame, headerValue, type SpdyFrame, type SynStreamFrame } from "../../kubernetes/spdy/frames.ts";
import { SpdyFrameParser } from "../../kubernetes/spdy/parser.ts";
import type { SpdyWork } from "../../kubernetes/spdy/work.ts";
import type { Chunk } from "./chunk.ts";
import { type ErrorText, type ForwardAccount, ForwardLedger } from "./forward-ledger.ts";
import { type Observation, type Observer, observationOf } from "./observer.ts";

/** SPDY/3.1 bytes in binary messages. A message may hold a part of a frame, or several frames (KEP-4006). */
export const PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io";

/** Streams that may be open at once, which bounds the memory for them. Two make a connection. */
const MAX_OPEN_STREAMS = 4_096;
/** Ended streams whose late bytes still count for their port. */
const MAX_ENDED_STREAMS = 1_024;
/** kubectl counts its requests. */
const MAX_REQUEST_ID_LENGTH = 64;
/** kubectl prints an error once the data of its connection has ended, and then closes by itself. */
const LINGER_MS = 500;

/**
 * The most work for one chunk, some ten milliseconds. The API server's chunks have at most 256 KiB here,
 * which are 29,127 frames if each has one byte of data.
 */
export const MAX_WORK_PER_CHUNK: SpdyWork = {
  frames: 64 * 1024,
  deflateBlocks: 1024,
  inflatedBytes: 64 * 1024,
  headerPairs: 4 * 1024,
};

/** What else costs parsing, in frames. A stream that kubectl opens costs less than 64. */
const COST_IN_FRAMES = { deflateBlock: 16, inflatedByte: 1 / 16, headerPair: 4 };

/**
 * What kubectl sends, and what the kubelet skips. It blocks on HEADERS of a client, and with it every fifth
 * stream.
 */
const FROM_CLIENT = new Set(["SYN_STREAM", "RST_STREAM", "SETTINGS", "PING", "GOAWAY", "WINDOW_UPDATE"] as const);
const FROM_UPSTREAM = new Set([
  "SYN_REPLY",
  "RST_STREAM",
  "SETTINGS",
  "PING",
  "GOAWAY",
  "HEADERS",
  "WINDOW_UPDATE",
] as const);

interface Stream {
  readonly type: "data" | "error";
  readonly connection: Connection;
  clientIsDone: boolean;
  upstreamIsDone: boolean;
}

/** One forwarded connection: an error stream and a data stream with the same `requestid`, in either order. */
interface Connection {
  readonly id: string;
  readonly port: number;
  /** From the data stream on. The kubelet opens no port for an error stream alone. */
  account: ForwardAccount | undefined;
  /** The types of the streams that it had so far. */
  readonly types: Set<Stream["type"]>;
  openStreams: number;
  hasFailed: boolean;
  /** Where more of the error's text goes: on the first error stream of a port with an error. */
  errorText: ErrorText | undefined;
}

/**
 * Observes a port-forward: each forwarded connection is two SPDY streams, one for data and one for errors.
 * The client opens them with the headers `streamtype` and `port`.
 *
 * It reads the client's frames exactly as the kubelet does (moby/spdystream, and the port-forward handler of
 * containerd and CRI-O behind it), so that no port is used and no byte sent that is not in the log. Where
 * that cannot be known, the traffic is unreadable: what is refused here, what several goroutines race for
 * there, and frames that no kubectl sends.
 */
export class PortForwardTunnelObserver implements Observer {
  readonly #client = new SpdyFrameParser({ controlTypes: FROM_CLIENT, work: MAX_WORK_PER_CHUNK });
  readonly #upstream = new SpdyFrameParser({ controlTypes: FROM_UPSTREAM, work: MAX_WORK_PER_CHUNK });
  readonly #onUnreadable: PortForwardPolicy["onUnreadable"];
  readonly #ledger: ForwardLedger;
  readonly #streams = new Map<number, Stream>();
  readonly #endedStreams = new Map<number, Stream>();
  readonly #connections = new Map<string, Connection>();
  #lastStreamId = -1;
  #clientIsLeaving = false;
  /** Traffic was relayed unread, in either direction. Nothing is read after it. */
  #isUnreadable = false;

  /** @param onNewPort called before the first connection to a port reaches the cluster */
  constructor(onNewPort: (port: number) => void, onUnreadable: PortForwardPolicy["onUnreadable"]) {
    this.#ledger = new ForwardLedger(onNewPort);
    this.#onUnreadable = onUnreadable;
  }

  get lingerMs(): number {
    return this.#unfinished().length > 0 ? LINGER_MS : 0;
  }

  get parsedFrames(): number {
    if (this.#isUnreadable) return 0;
    const { frames, deflateBlocks, inflatedBytes, headerPairs } = this.#client.work;
    const { deflateBlock, inflatedByte, headerPair } = COST_IN_FRAMES;
    return frames + deflateBlocks * deflateBlock + inflatedBytes * inflatedByte + headerPairs * headerPair;
  }

  fromClient(chunk: Chunk): Observation {
    return this.#read(this.#client, chunk, (frame) => this.#takeFromClient(frame));
  }

  fromUpstream(chunk: Chunk): Observation {
    return this.#read(this.#upstream, chunk, (frame) => this.#takeFromUpstream(frame));
  }

  finalStatus(): undefined {
    return undefined;
  }

  traffic(): Traffic {
    return { forwards: this.#ledger.summary(), ...(this.#isUnreadable && { unreadable: true }) };
  }

  /**
   * kubectl shows what arrives on the error stream of an open connection once the connection's data has
   * ended. Without an open connection there is no stream for it, and a half-sent frame cannot be interrupted.
   * kubectl then prints `lost connection to pod`.
   */
  goodbyeFrames(message: string): Uint8Array<ArrayBuffer>[] {
    if (this.#isUnreadable || !this.#upstream.isAtFrameBoundary) return [];
    const text = new TextEncoder().encode(message);
    return this.#unfinished().map(([streamId, { type }]) =>
      finalFrame(streamId, type === "error" ? text : new Uint8Array(0)),
    );
  }

  #unfinished(): [number, Stream][] {
    return [...this.#streams].filter(([, { upstreamIsDone }]) => !upstreamIsDone);
  }

  /** kubectl pings every 10 s inside the tunnel as long as it runs, which is not use of the session. */
  #read(parser: SpdyFrameParser, chunk: Chunk, take: (frame: SpdyFrame) => void): Observation {
    if (this.#isUnreadable) return observationOf(chunk);
    let isUse = false;
    try {
      if (chunk.isText) throw new SpdyError("bad-frame", "a text message");
      parser.parse(chunk.payload, (frame) => {
        take(frame);
        isUse ||= frame.type === "SYN_STREAM" || (frame.type === "DATA" && frame.data.length > 0);
      });
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
      if (this.#onUnreadable === "end") return { violation: unreadablePortForward(error.message) };
      this.#isUnreadable = true;
      return observationOf(chunk);
    }
    return isUse ? "use" : "idle";
  }

  #takeFromClient(frame: SpdyFrame): void {
    if (frame.type === "SYN_STREAM") this.#open(frame);
    if (frame.type === "DATA") this.#takeClientData(frame);
    if (frame.type === "RST_STREAM") this.#end(frame.streamId);
    if (frame.type === "GOAWAY") this.#clientIsLeaving = true;
    if ("fin" in frame && frame.fin) this.#finish(frame.streamId, "client");
  }

  /**
   * The kubelet drops data of a stream that it does not know, or no longer, or whose end the client has sent.
   */
  #takeClientData({ streamId, data }: DataFrame): void {
    const stream = this.#streams.get(streamId);
    if (!stream || stream.clientIsDone || data.length === 0) return;
    // Nobody reads it, and it blocks every fifth stream.
    if (stream.type === "error") throw unexpected("data on an error stream");
    if (stream.connection.account) stream.connection.account.bytesIn += data.length;
  }

  #takeFromUpstream(frame: SpdyFrame): void {
    if (frame.type === "DATA") this.#takeUpstreamData(frame);
    if (frame.type === "RST_STREAM") this.#end(frame.streamId);
    if ("fin" in frame && frame.fin) this.#finish(frame.streamId, "upstream");
  }

  /** After the client has reset a stream, the kubelet sends what the port says for about a second more. */
  #takeUpstreamData({ streamId, data }: DataFrame): void {
    if (data.length === 0) return;
    const stream = this.#streams.get(streamId) ?? this.#endedStreams.get(streamId);
    if (stream?.type === "error") {
      takeError(stream.connection, data);
    } else {
      const account = stream?.connection.account ?? this.#ledger.rest;
      account.bytesOut += data.length;
    }
  }

  #open({ streamId, fin, unidirectional, headers }: SynStreamFrame): void {
    if (this.#clientIsLeaving) throw unexpected("a new stream after GOAWAY");
    // The kubelet answers with a reset of that id, although the first stream with it goes on.
    if (streamId < this.#lastStreamId + 2) throw unexpected(`stream ${streamId} after ${this.#lastStreamId}`);
    this.#lastStreamId = streamId;
    if (unidirectional) throw unexpected("a unidirectional stream");
    const port = readPort(headerValue(headers, "port"));
    const type = headerValue(headers, "streamtype");
    // The kubelet refuses the stream.
    if (port === undefined || (type !== "data" && type !== "error")) return;
    if (this.#streams.size >= MAX_OPEN_STREAMS) throw unexpected(`more than ${MAX_OPEN_STREAMS} open streams`);

    const connection = this.#connection(headerValue(headers, "requestid") || pseudoRequestId(streamId, type), port);
    // To whom a second stream belongs depends on when the kubelet forgets the first.
    if (connection.types.has(type)) throw unexpected("a requestid that is in use");
    if (connection.port !== port) throw unexpected("streams for two ports with one requestid");
    if (type === "data") {
      connection.account = this.#ledger.account(port);
      connection.account.connections++;
    }
    connection.types.add(type);
    connection.openStreams++;
    this.#streams.set(streamId, { type, connection, clientIsDone: fin, upstreamIsDone: false });
  }

  #connection(id: string, port: number): Connection {
    const known = this.#connections.get(id);
    if (known) return known;
    if (id.length > MAX_REQUEST_ID_LENGTH) throw unexpected("a long requestid");
    const rest = { account: undefined, openStreams: 0, hasFailed: false, errorText: undefined };
    const connection: Connection = { id, port, types: new Set(), ...rest };
    this.#connections.set(id, connection);
    return connection;
  }

  #finish(streamId: number, side: "client" | "upstream"): void {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    if (side === "client") stream.clientIsDone = true;
    else stream.upstreamIsDone = true;
    // Nobody reads what the client sends on an error stream.
    const isOver = stream.upstreamIsDone && (stream.clientIsDone || stream.type === "error");
    if (isOver) this.#end(streamId);
  }

  #end(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (!stream) return;
    this.#streams.delete(streamId);
    const { connection } = stream;
    if (--connection.openStreams === 0) this.#connections.delete(connection.id);
    this.#endedStreams.set(streamId, stream);
    if (this.#endedStreams.size <= MAX_ENDED_STREAMS) return;
    for (const oldest of this.#endedStreams.keys()) {
      this.#endedStreams.delete(oldest);
      return;
    }
  }
}

function takeError(connection: Connection, text: Uint8Array): void {
  if (connection.hasFailed) connection.errorText?.add(text);
  else connection.errorText = connection.account?.failed(text);
  connection.hasFailed = true;
}

/** The one that the kubelet makes up for clients older than the header. */
function pseudoRequestId(streamId: number, type: Stream["type"]): string {
  return String(type === "error" ? streamId : streamId - 2);
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

function unexpected(what: string): SpdyError {
  return new SpdyError("unexpected-frame", what);
}

/** The violation where a port-forward may not go on unread. */
export function unreadablePortForward(what: string): string {
  return `port-forward traffic cannot be read (${what}); use kubectl, or contact your administrator`;
}
