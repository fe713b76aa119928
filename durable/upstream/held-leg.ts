import { Channel, type ChannelProtocol, decodeFrame } from "../../kubernetes/channels.ts";
import { CloseCode } from "../websocket/protocol.ts";
import type { LegReceiver, UpstreamLeg } from "./leg.ts";

/** What Ctrl-C sends in a terminal in raw mode. */
const INTERRUPT = 0x03;
/**
 * A size is some 30 bytes of JSON. Whatever is larger is none, and would stay in memory for as long as
 * somebody waits: the platform takes messages of 32 MiB, and many sessions wait at once.
 */
const MAX_RESIZE_BYTES = 1_024;

export interface HeldLegParts {
  /** What the client was told. The cluster is offered it alone. */
  readonly subprotocol: string;
  readonly protocol: ChannelProtocol;
  /** Whether the client is a terminal: then what is typed is dropped while the session waits. */
  readonly isTerminal: boolean;
  /** Somebody pressed Ctrl-C at a terminal that waits. */
  readonly onInterrupt: () => void;
}

/**
 * The leg of a session that waits before the cluster is asked. The relay runs over it as over any other, so
 * that all that ends or bounds a session also holds while it waits.
 *
 * What a client sends meanwhile is not lost unless somebody types it: the relay stores what no leg takes, up
 * to its bound. A terminal's input is dropped, for it was meant for a prompt that is not there yet; its last
 * size is kept, and sent first.
 */
export class HeldLeg implements UpstreamLeg {
  readonly subprotocol: string;
  readonly #parts: HeldLegParts;
  #receiver: LegReceiver | undefined;
  #leg: UpstreamLeg | undefined;
  #lastResize: ArrayBuffer | Uint8Array | string | undefined;
  #hasEnded = false;

  constructor(parts: HeldLegParts) {
    this.#parts = parts;
    this.subprotocol = parts.subprotocol;
  }

  get isHolding(): boolean {
    return this.#leg === undefined && !this.#hasEnded && !this.#parts.isTerminal;
  }

  get hasBackpressure(): boolean {
    return this.#leg?.hasBackpressure ?? false;
  }

  /** While it waits, nothing is ever given to it that it does not know of. */
  get isMeasured(): boolean {
    return this.#leg?.isMeasured ?? true;
  }

  get unsentBytes(): number {
    return this.#leg?.unsentBytes ?? 0;
  }

  get takenBytes(): number {
    return this.#leg?.takenBytes ?? 0;
  }

  get whenTaken(): UpstreamLeg["whenTaken"] {
    return this.#leg?.whenTaken?.bind(this.#leg);
  }

  start(receiver: LegReceiver): void {
    this.#receiver = receiver;
  }

  /** Joins the session with the cluster. */
  join(leg: UpstreamLeg): void {
    const receiver = this.#receiver;
    if (this.#hasEnded || !receiver) {
      leg.abort();
      return;
    }
    this.#leg = leg;
    leg.start(receiver);
    if (this.#lastResize !== undefined) leg.send(this.#lastResize);
    this.#lastResize = undefined;
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    if (this.#leg) {
      this.#leg.send(message);
      return;
    }
    const frame = decodeFrame(this.#parts.protocol, message);
    const isSize = frame?.channel === Channel.resize && frame.size <= MAX_RESIZE_BYTES;
    if (isSize) this.#lastResize = message;
    if (frame?.channel === Channel.stdin && frame.payload.includes(INTERRUPT)) this.#parts.onInterrupt();
  }

  ping(): void {
    this.#leg?.ping();
  }

  close(code?: number, reason?: string): void {
    this.#hasEnded = true;
    this.#leg?.close(code, reason);
  }

  abort(): void {
    if (this.#leg) this.#leg.abort();
    else if (!this.#hasEnded) this.#receiver?.onClose({ code: CloseCode.abnormal, reason: "" });
    this.#hasEnded = true;
  }
}
