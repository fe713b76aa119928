import type { WebSocket } from "ws";
import { MessageSender, toBuffer } from "./websocket.ts";

/** How a subprotocol of remotecommand encodes channels (apimachinery's wsstream, kubelet's remotecommand). */
export interface ChannelProtocol {
  readonly name: string;
  readonly encoding: "binary" | "base64";
  /** v4 and later end with a Status on the error channel, earlier ones with an error's text. */
  readonly errors: "status" | "text";
  /** v5: `[255, channel]` half-closes a channel. */
  readonly halfCloses: boolean;
}

const V4 = { errors: "status", halfCloses: false } as const;
const V1 = { errors: "text", halfCloses: false } as const;

export const REMOTE_COMMAND_PROTOCOLS: readonly ChannelProtocol[] = [
  { name: "v5.channel.k8s.io", encoding: "binary", errors: "status", halfCloses: true },
  { name: "v4.channel.k8s.io", encoding: "binary", ...V4 },
  { name: "v4.base64.channel.k8s.io", encoding: "base64", ...V4 },
  { name: "channel.k8s.io", encoding: "binary", ...V1 },
  { name: "base64.channel.k8s.io", encoding: "base64", ...V1 },
  { name: "", encoding: "binary", ...V1 },
];

export const PORT_FORWARD_PROTOCOLS: readonly ChannelProtocol[] = [
  { name: "v4.channel.k8s.io", encoding: "binary", ...V4 },
  { name: "v4.base64.channel.k8s.io", encoding: "base64", ...V4 },
  { name: "portforward.k8s.io", encoding: "binary", ...V4 },
  { name: "", encoding: "binary", ...V4 },
];

export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

/** @returns the first that the client offers and the server knows; the unnamed one if it offers none */
export function negotiateChannels(
  offered: readonly string[],
  known: readonly ChannelProtocol[],
): ChannelProtocol | undefined {
  const names = offered.length === 0 ? [""] : offered;
  for (const name of names) {
    const protocol = known.find((candidate) => candidate.name === name);
    if (protocol !== undefined) return protocol;
  }
  return undefined;
}

export interface ChannelHandlers {
  onData(channel: number, data: Buffer): void;
  /** v5 only: the client will send nothing more on the channel. */
  onHalfClose(channel: number): void;
  /** Whether the sources of what is sent should pause. */
  onPressure(paused: boolean): void;
  /** The client has left or has closed the connection. */
  onClose(): void;
}

/**
 * A WebSocket that carries channels. The first byte of a message (in base64: the first character) is the
 * channel.
 */
export class ChannelConnection {
  readonly protocol: ChannelProtocol;
  readonly #socket: WebSocket;
  readonly #sender: MessageSender;

  constructor(socket: WebSocket, protocol: ChannelProtocol, handlers: ChannelHandlers) {
    this.protocol = protocol;
    this.#socket = socket;
    this.#sender = new MessageSender(socket, (paused) => handlers.onPressure(paused));
    socket.on("message", (message) => {
      const data = toBuffer(message);
      const channel = data[0];
      if (channel === undefined) return;
      if (protocol.encoding === "base64") {
        handlers.onData(channel - 0x30, Buffer.from(data.toString("latin1", 1), "base64"));
      } else if (protocol.halfCloses && channel === CHANNEL.close) {
        handlers.onHalfClose(data[1] ?? CHANNEL.stdin);
      } else {
        handlers.onData(channel, data.subarray(1));
      }
    });
    socket.once("close", () => handlers.onClose());
  }

  /**
   * Sends data on a channel. Only the greeting may be empty, because kubectl reads an empty message as the
   * end.
   */
  send(channel: number, data: Buffer): void {
    if (this.protocol.encoding === "base64") {
      this.#sender.send(Buffer.from(`${channel}${data.toString("base64")}`), false);
      return;
    }
    const message = Buffer.allocUnsafe(data.length + 1);
    message[0] = channel;
    data.copy(message, 1);
    this.#sender.send(message);
  }

  pauseInput(): void {
    this.#socket.pause();
  }

  resumeInput(): void {
    this.#socket.resume();
  }

  /** Closes normally after everything was sent, and waits for the client's close. */
  end(): void {
    // A paused socket would never see that close.
    this.#socket.resume();
    this.#socket.close(1000);
  }
}
