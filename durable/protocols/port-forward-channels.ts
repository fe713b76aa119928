import type { Traffic } from "../../audit/events.ts";
import { type ChannelProtocol, encodeFrame } from "../../kubernetes/channels.ts";
import type { Chunk } from "./chunk.ts";
import { type ErrorText, type ForwardAccount, ForwardLedger } from "./forward-ledger.ts";
import type { Observation, Observer } from "./observer.ts";

/** Every channel begins with its port number in two bytes, which are not use of the session. */
const PORT_BYTES = 2;

/**
 * Observes the older port-forward protocol of some client libraries: for the n-th requested port, channel 2n
 * carries data and channel 2n+1 errors as text. Source: k8s.io/kubelet
 * `pkg/cri/streaming/portforward/websocket.go`.
 *
 * Each port named in the request is one connection, open from the start. A port named twice is two.
 */
export class PortForwardChannelsObserver implements Observer {
  readonly lingerMs = 0;
  readonly #protocol: ChannelProtocol;
  readonly #ports: readonly number[];
  readonly #ledger: ForwardLedger;
  readonly #announced = new Set<number>();
  /** Channels with an error, and where the rest of its text goes. */
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

  /** The cluster drops what comes on another channel. */
  fromClient({ channel, size }: Chunk): Observation {
    if (channel === undefined || size === 0 || !isData(channel)) return "idle";
    const account = this.#accountOf(channel);
    if (!account) return "idle";
    account.bytesIn += size;
    return "use";
  }

  fromUpstream(chunk: Chunk): Observation {
    const { channel, size } = chunk;
    if (channel === undefined || size === 0) return "idle";
    const account = this.#accountOf(channel);
    if (size <= PORT_BYTES && !this.#announced.has(channel)) {
      this.#announced.add(channel);
      if (account && isData(channel)) account.connections++;
      return "idle";
    }
    if (account && isData(channel)) account.bytesOut += size;
    else if (account) this.#takeError(channel, account, chunk);
    return "use";
  }

  finalStatus(): undefined {
    return undefined;
  }

  traffic(): Traffic {
    return { forwards: this.#ledger.summary() };
  }

  goodbyeFrames(message: string): (Uint8Array<ArrayBuffer> | string)[] {
    const text = new TextEncoder().encode(message);
    return [...this.#announced]
      .filter((channel) => !isData(channel))
      .map((channel) => encodeFrame(this.#protocol, channel, text));
  }

  #takeError(channel: number, account: ForwardAccount, chunk: Chunk): void {
    if (!this.#failed.has(channel)) {
      this.#failed.set(channel, account.failed(chunk.payload));
      return;
    }
    const text = this.#failed.get(channel);
    if (text && !text.isFull) text.add(chunk.payload);
  }

  /** Undefined for a channel of a port that was not requested: the cluster ignores it. */
  #accountOf(channel: number): ForwardAccount | undefined {
    const port = this.#ports[channel >> 1];
    return port === undefined ? undefined : this.#ledger.account(port);
  }
}

function isData(channel: number): boolean {
  return channel % 2 === 0;
}
