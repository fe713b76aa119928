import type { Traffic } from "../../audit/events.ts";
import { type ChannelProtocol, decodeFrame, encodeFrame } from "../../kubernetes/channels.ts";
import { type ErrorText, ForwardLedger } from "./forward-ledger.ts";
import type { Message, Observer } from "./observer.ts";

/** Two bytes of port number open every channel; they are set-up, not use. */
const PORT_BYTES = 2;

/**
 * Follows the older port-forward, which some client libraries speak: for the n-th requested port, channel 2n carries
 * data and channel 2n+1 errors as text. Source: k8s.io/kubelet `pkg/cri/streaming/portforward/websocket.go`.
 *
 * Each port named in the request is one connection, open from the start; a port named twice is two.
 */
export class PortForwardChannelsObserver implements Observer {
  readonly lingerMs = 0;
  readonly #protocol: ChannelProtocol;
  readonly #ports: readonly number[];
  readonly #ledger: ForwardLedger;
  readonly #announced = new Set<number>();
  /** Channels on which an error was reported, and where the rest of its text goes. */
  readonly #failed = new Map<number, ErrorText | undefined>();

  /**
   * @param ports as named in the request, in order
   * @param onNewPort called when the cluster opens the connection to a port
   */
  constructor(protocol: ChannelProtocol, ports: readonly number[], onNewPort: (port: number) => void) {
    this.#protocol = protocol;
    this.#ports = ports;
    this.#ledger = new ForwardLedger(onNewPort);
  }

  fromClient(message: Message): boolean {
    const frame = decodeFrame(this.#protocol, message);
    if (!frame || frame.payload.length === 0) return false;
    const account = isData(frame.channel) && this.#accountOf(frame.channel);
    if (account) account.bytesIn += frame.payload.length;
    return true;
  }

  fromUpstream(message: Message): boolean {
    const frame = decodeFrame(this.#protocol, message);
    if (!frame || frame.payload.length === 0) return false;
    const { channel, payload } = frame;
    const account = this.#accountOf(channel);
    if (payload.length <= PORT_BYTES && !this.#announced.has(channel)) {
      this.#announced.add(channel);
      if (account && isData(channel)) account.connections++;
      return false;
    }
    if (account && isData(channel)) account.bytesOut += payload.length;
    else if (this.#failed.has(channel)) this.#failed.get(channel)?.add(payload);
    else if (account) this.#failed.set(channel, account.failed(payload));
    return true;
  }

  finalStatus(): undefined {
    return undefined;
  }

  traffic(): Traffic {
    return { forwards: this.#ledger.summary() };
  }

  goodbyeFrames(words: string): (Uint8Array<ArrayBuffer> | string)[] {
    const text = new TextEncoder().encode(words);
    return [...this.#announced]
      .filter((channel) => !isData(channel))
      .map((channel) => encodeFrame(this.#protocol, channel, text));
  }

  /** Undefined for a channel of no requested port: the cluster takes nothing on it. */
  #accountOf(channel: number) {
    const port = this.#ports[channel >> 1];
    return port === undefined ? undefined : this.#ledger.account(port);
  }
}

function isData(channel: number): boolean {
  return channel % 2 === 0;
}
