import type { WebSocket } from "ws";
import { encodeDataHead, encodeFrame } from "../../../kubernetes/spdy/encoder.ts";
import { SpdyError } from "../../../kubernetes/spdy/errors.ts";
import { headerValue, RST_STATUS, type SpdyFrame, type SynStreamFrame } from "../../../kubernetes/spdy/frames.ts";
import { HeaderBlockWriter } from "../../../kubernetes/spdy/header-block.ts";
import { SpdyFrameParser } from "../../../kubernetes/spdy/parser.ts";
import type { Pod } from "../api/objects.ts";
import type { Kubelet } from "../pods/kubelet.ts";
import { connectTarget, type ForwardTarget } from "./forward-target.ts";
import { MessageSender, toBuffer } from "./websocket.ts";

export const TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io";
/** How long containerd lets a port finish whose stream the client has reset. */
const GRACE_MS = 1_000;

interface Stream {
  readonly id: number;
  readonly type: "data" | "error";
  readonly port: number;
  readonly request: string;
}

/** A data stream whose port has been dialled. */
interface Connection {
  readonly target: ForwardTarget;
  /** The client has sent FIN or RST_STREAM: the kubelet drops what comes after it. */
  inputHasEnded: boolean;
  /** The client has reset the stream. The kubelet still sends data on it, but no FIN. */
  isReset: boolean;
}

/**
 * Port-forward as kubectl does it since 1.31: SPDY inside the WebSocket's binary messages. Each forwarded
 * connection is a pair of streams with the same `requestid`, an error stream and a data stream. Resolves when
 * the client has left.
 */
export function portForwardSpdy(socket: WebSocket, kubelet: Kubelet, pod: Pod): Promise<void> {
  return new Promise((resolve) => {
    const tunnel = new Tunnel(socket, kubelet, pod);
    socket.once("close", () => {
      tunnel.destroy();
      resolve();
    });
  });
}

/**
 * Does with each frame what moby/spdystream and containerd's port-forward do. Where both end, so does this.
 */
class Tunnel {
  readonly #socket: WebSocket;
  readonly #kubelet: Kubelet;
  readonly #pod: Pod;
  readonly #parser = new SpdyFrameParser();
  readonly #headers = new HeaderBlockWriter();
  readonly #sender: MessageSender;
  /** Streams whose pair is not complete. */
  readonly #waiting = new Map<string, Stream>();
  readonly #connections = new Map<number, Connection>();
  #lastStreamId = -1;
  #blocked = 0;

  constructor(socket: WebSocket, kubelet: Kubelet, pod: Pod) {
    this.#socket = socket;
    this.#kubelet = kubelet;
    this.#pod = pod;
    this.#sender = new MessageSender(socket, (paused) => {
      for (const { target } of this.#connections.values()) paused ? target.pause() : target.resume();
    });
    socket.on("message", (message, isBinary) => {
      if (isBinary) this.#receive(toBuffer(message));
      else this.#close();
    });
  }

  destroy(): void {
    for (const { target } of this.#connections.values()) target.destroy();
    this.#connections.clear();
  }

  #close(): void {
    this.destroy();
    this.#socket.close(1000);
  }

  #receive(message: Buffer): void {
    try {
      this.#parser.parse(message, (frame) => this.#handle(frame));
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
      this.#close();
    }
  }

  #handle(frame: SpdyFrame): void {
    switch (frame.type) {
      case "SYN_STREAM":
        this.#open(frame);
        return;
      case "DATA":
        this.#write(frame.streamId, frame.data, frame.fin);
        return;
      case "RST_STREAM":
        this.#reset(frame.streamId);
        return;
      case "PING":
        // Even ids are those of the server's own.
        if (frame.id % 2 === 1) this.#send(frame);
        return;
      case "GOAWAY":
        this.#close();
        return;
      case "HEADERS":
      case "SETTINGS":
      case "SYN_REPLY":
      case "WINDOW_UPDATE":
        // No kubectl sends them. HEADERS would block every fifth stream of the real one.
        return;
    }
  }

  #write(streamId: number, data: Uint8Array, fin: boolean): void {
    const connection = this.#connections.get(streamId);
    if (connection === undefined || connection.inputHasEnded) return;
    if (data.length > 0) this.#give(connection.target, data);
    if (!fin) return;
    connection.inputHasEnded = true;
    connection.target.endInput();
  }

  #reset(streamId: number): void {
    const connection = this.#connections.get(streamId);
    if (connection === undefined) return;
    connection.inputHasEnded = true;
    connection.isReset = true;
    connection.target.endInput();
    setTimeout(() => connection.target.destroy(), GRACE_MS).unref();
  }

  // A slow target blocks the whole tunnel, as in spdystream, because single streams have no flow control.
  #give(target: ForwardTarget, data: Uint8Array): void {
    const drained = (): void => {
      if (--this.#blocked === 0) this.#socket.resume();
    };
    if (target.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength), drained)) return;
    this.#blocked++;
    this.#socket.pause();
  }

  #open({ streamId: id, fin, headers }: SynStreamFrame): void {
    // A reset of this id, although the first stream with it goes on.
    if (id < this.#lastStreamId + 2) {
      this.#send({ type: "RST_STREAM", streamId: id, status: RST_STATUS.PROTOCOL_ERROR });
      return;
    }
    this.#lastStreamId = id;
    const type = headerValue(headers, "streamtype");
    const port = portOf(headerValue(headers, "port") ?? "");
    if ((type !== "error" && type !== "data") || port === undefined) {
      this.#send({ type: "RST_STREAM", streamId: id, status: RST_STATUS.CANCEL });
      return;
    }
    this.#send({ type: "SYN_REPLY", streamId: id, fin: false, headers: [] });
    const request = headerValue(headers, "requestid") || String(type === "error" ? id : id - 2);
    this.#pair({ id, type, port, request }, fin);
  }

  #pair(stream: Stream, fin: boolean): void {
    const other = this.#waiting.get(stream.request);
    if (other === undefined) {
      this.#waiting.set(stream.request, stream);
    } else if (other.type === stream.type) {
      const text = `error processing stream for request ${stream.request}: ${stream.type} stream already assigned`;
      if (other.type === "error") this.#sendData(other.id, text, false);
    } else {
      this.#waiting.delete(stream.request);
      const [data, error] = stream.type === "data" ? [stream, other] : [other, stream];
      this.#connect(data, error);
    }
    if (fin) this.#write(stream.id, new Uint8Array(0), true);
  }

  #connect(data: Stream, error: Stream): void {
    const target = connectTarget(this.#kubelet, this.#pod, data.port, {
      onData: (chunk) => this.#sender.send(Buffer.concat([encodeDataHead(data.id, chunk.length, false), chunk])),
      onEnd: (text) => {
        if (!connection.isReset) this.#sendData(data.id, "", true);
        if (text !== undefined) this.#sendData(error.id, text, false);
        // kubectl reads the error stream to its end before it closes the connection.
        this.#sendData(error.id, "", true);
      },
      onClosed: () => this.#connections.delete(data.id),
    });
    const connection: Connection = { target, inputHasEnded: false, isReset: false };
    this.#connections.set(data.id, connection);
  }

  #sendData(streamId: number, text: string, fin: boolean): void {
    this.#send({ type: "DATA", streamId, fin, data: Buffer.from(text) });
  }

  #send(frame: SpdyFrame): void {
    this.#sender.send(Buffer.from(encodeFrame(frame, this.#headers)));
  }
}

/** Parses as `strconv.ParseUint(value, 10, 16)` does. */
function portOf(value: string): number | undefined {
  const port = /^[0-9]+$/.test(value) ? Number(value) : 0;
  return port >= 1 && port <= 0xffff ? port : undefined;
}
