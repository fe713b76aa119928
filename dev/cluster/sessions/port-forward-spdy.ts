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

interface Connection {
  readonly errorStream: number;
  target: ForwardTarget | undefined;
}

/**
 * Port-forward as kubectl does it since 1.31: SPDY inside the WebSocket's binary messages. Each forwarded
 * connection is a pair of streams with the same `requestid`: first an error stream, then a data stream to a
 * `port`. Resolves when the client has left.
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

class Tunnel {
  readonly #socket: WebSocket;
  readonly #kubelet: Kubelet;
  readonly #pod: Pod;
  readonly #parser = new SpdyFrameParser();
  readonly #headers = new HeaderBlockWriter();
  readonly #sender: MessageSender;
  readonly #byRequest = new Map<string, Connection>();
  readonly #byDataStream = new Map<number, Connection>();
  #blocked = 0;

  constructor(socket: WebSocket, kubelet: Kubelet, pod: Pod) {
    this.#socket = socket;
    this.#kubelet = kubelet;
    this.#pod = pod;
    this.#sender = new MessageSender(socket, (paused) => {
      for (const { target } of this.#byDataStream.values()) paused ? target?.pause() : target?.resume();
    });
    socket.on("message", (message) => this.#receive(toBuffer(message)));
  }

  destroy(): void {
    for (const { target } of this.#byDataStream.values()) target?.destroy();
    this.#byDataStream.clear();
  }

  #receive(message: Buffer): void {
    try {
      for (const frame of this.#parser.push(message)) this.#handle(frame);
    } catch (error) {
      if (!(error instanceof SpdyError)) throw error;
      this.#socket.close(1002, error.code);
    }
  }

  #handle(frame: SpdyFrame): void {
    switch (frame.type) {
      case "SYN_STREAM":
        this.#open(frame);
        return;
      case "DATA": {
        const target = this.#byDataStream.get(frame.streamId)?.target;
        if (target === undefined) return;
        if (frame.data.length > 0) this.#give(target, frame.data);
        if (frame.fin) target.endInput();
        return;
      }
      case "RST_STREAM":
        this.#byDataStream.get(frame.streamId)?.target?.destroy();
        this.#byDataStream.delete(frame.streamId);
        return;
      case "PING":
        this.#send(frame);
        return;
      case "GOAWAY":
      case "HEADERS":
      case "SETTINGS":
      case "SYN_REPLY":
      case "WINDOW_UPDATE":
        // Nothing to do: the client closes after GOAWAY, and Kubernetes does not use the others here.
        return;
    }
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

  #open(frame: SynStreamFrame): void {
    const { streamId, headers } = frame;
    const kind = headerValue(headers, "streamtype");
    const port = Number(headerValue(headers, "port"));
    const isValid = (kind === "error" || kind === "data") && Number.isInteger(port) && port > 0 && port < 65_536;
    // Without a request id, the data stream is the next one that the client opened after the error stream.
    const request = headerValue(headers, "requestid") ?? String(kind === "error" ? streamId : streamId - 2);
    const connection = this.#byRequest.get(request);
    if (!isValid || (kind === "data") !== (connection !== undefined)) {
      this.#send({ type: "RST_STREAM", streamId, status: RST_STATUS.PROTOCOL_ERROR });
      return;
    }
    this.#send({ type: "SYN_REPLY", streamId, fin: false, headers: [] });
    if (connection === undefined) this.#byRequest.set(request, { errorStream: streamId, target: undefined });
    else this.#connect(request, connection, streamId, port);
  }

  #connect(request: string, connection: Connection, dataStream: number, port: number): void {
    this.#byRequest.delete(request);
    this.#byDataStream.set(dataStream, connection);
    connection.target = connectTarget(this.#kubelet, this.#pod, port, {
      onData: (chunk) => this.#sender.send(Buffer.concat([encodeDataHead(dataStream, chunk.length, false), chunk])),
      onEnd: (error) => {
        this.#sendData(dataStream, "", true);
        if (error !== undefined) this.#sendData(connection.errorStream, error, false);
        // kubectl reads the error stream to its end before it closes the connection.
        this.#sendData(connection.errorStream, "", true);
      },
      onClosed: () => this.#byDataStream.delete(dataStream),
    });
  }

  #sendData(streamId: number, text: string, fin: boolean): void {
    this.#send({ type: "DATA", streamId, fin, data: Buffer.from(text) });
  }

  #send(frame: SpdyFrame): void {
    this.#sender.send(Buffer.from(encodeFrame(frame, this.#headers)));
  }
}
