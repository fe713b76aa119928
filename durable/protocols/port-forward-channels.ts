import { type ChannelProtocol, decodeFrame, encodeFrame } from "../../kubernetes/channels.ts";
import type { Message, Observer } from "./observer.ts";

/** Two bytes of port number open every channel; they are set-up, not use. */
const PORT_BYTES = 2;

/**
 * Follows the older port-forward, which some client libraries speak: for the n-th requested port, channel 2n carries
 * data and channel 2n+1 errors as text. Source: k8s.io/kubelet `pkg/cri/streaming/portforward/websocket.go`.
 */
export class PortForwardChannelsObserver implements Observer {
  readonly lingerMs = 0;
  readonly #protocol: ChannelProtocol;
  readonly #announced = new Set<number>();

  constructor(protocol: ChannelProtocol) {
    this.#protocol = protocol;
  }

  fromClient(message: Message): boolean {
    return (decodeFrame(this.#protocol, message)?.payload.length ?? 0) > 0;
  }

  fromUpstream(message: Message): boolean {
    const frame = decodeFrame(this.#protocol, message);
    if (!frame || frame.payload.length === 0) return false;
    if (frame.payload.length > PORT_BYTES || this.#announced.has(frame.channel)) return true;
    this.#announced.add(frame.channel);
    return false;
  }

  finalStatus(): undefined {
    return undefined;
  }

  farewell(words: string): (Uint8Array<ArrayBuffer> | string)[] {
    const text = new TextEncoder().encode(words);
    return [...this.#announced]
      .filter((channel) => channel % 2 === 1)
      .map((channel) => encodeFrame(this.#protocol, channel, text));
  }
}
