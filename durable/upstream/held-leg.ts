import { concatBytes } from "../../common/bytes.ts";
import { CloseCode } from "../../common/close-codes.ts";
import { Channel, type ChannelProtocol, decodeFrame } from "../../kubernetes/channels.ts";
import { SpdyFrameGate } from "../../kubernetes/spdy/frame-gate.ts";
import { bytesOf } from "../protocols/framing.ts";
import { HeldOutput } from "./held-output.ts";
import type { LegReceiver, UpstreamLeg } from "./leg.ts";

/** What Ctrl-C sends in a terminal in raw mode. */
const INTERRUPT = 0x03;
/**
 * A size is some 30 bytes of JSON. Whatever is larger is none, and would stay in memory for as long as
 * somebody waits: the platform takes messages of 32 MiB, and many sessions wait at once.
 */
const MAX_RESIZE_BYTES = 1_024;
/** What a message costs in memory beside its bytes. */
const MESSAGE_OVERHEAD_BYTES = 256;

/** What becomes of what a client sends while its session is held. */
export type HeldInput =
  /**
   * It is dropped: somebody types it, for a prompt that they do not see. The last size of the terminal is
   * kept, where the protocol has one.
   */
  | { readonly kind: "typed"; readonly protocol?: ChannelProtocol }
  /** It is stored, and sent later. */
  | { readonly kind: "stored" }
  /** The same, but for the frames of SPDY that keep a connection alive. */
  | { readonly kind: "spdy" };

export interface HeldLegParts {
  /** What the client was told. The cluster is offered it alone. */
  readonly subprotocol: string;
  readonly input: HeldInput;
  /** Somebody pressed Ctrl-C at a terminal that is held. */
  readonly onInterrupt: () => void;
  /** The cluster has sent more than may be held, and cannot be told to wait. */
  readonly onOverflow: () => void;
}

/**
 * The leg of a session that is held: before the cluster is asked, for an approval or for somebody who
 * watches, and later for as long as nobody watches. The relay runs over it as over any other, so that all
 * that ends or bounds a session also holds then.
 *
 * What a client sends meanwhile is not lost unless somebody types it: the relay stores what no leg takes, up
 * to its bound. What the cluster sends is held here, up to a bound, and then not read.
 */
export class HeldLeg implements UpstreamLeg {
  readonly subprotocol: string;
  readonly #parts: HeldLegParts;
  readonly #gate: SpdyFrameGate | undefined;
  #receiver: LegReceiver | undefined;
  #output: HeldOutput | undefined;
  #leg: UpstreamLeg | undefined;
  #lastResize: ArrayBuffer | Uint8Array | string | undefined;
  /** Frames that wait while it is frozen. */
  #frames: Uint8Array[] = [];
  #framesBytes = 0;
  #isFrozen = false;
  #hasEnded = false;

  constructor(parts: HeldLegParts) {
    this.#parts = parts;
    this.subprotocol = parts.subprotocol;
    this.#gate = parts.input.kind === "spdy" ? new SpdyFrameGate() : undefined;
  }

  /** Whether the cluster has accepted. */
  get isJoined(): boolean {
    return this.#leg !== undefined;
  }

  get isHeld(): boolean {
    return !this.#hasEnded && (this.#leg === undefined || this.#isFrozen);
  }

  get isHolding(): boolean {
    const { kind } = this.#parts.input;
    return this.isHeld && (kind === "stored" || (kind === "spdy" && this.#leg === undefined));
  }

  get isDropping(): boolean {
    return this.isHeld && this.#parts.input.kind === "typed";
  }

  get hasBackpressure(): boolean {
    return this.#leg?.hasBackpressure ?? false;
  }

  /** While it waits, nothing is ever given to it that it does not know of. */
  get isMeasured(): boolean {
    return this.isHeld || (this.#leg?.isMeasured ?? true);
  }

  get unsentBytes(): number {
    return (this.#leg?.unsentBytes ?? 0) + this.#framesBytes;
  }

  get takenBytes(): number {
    return this.#leg?.takenBytes ?? 0;
  }

  get sentBytes(): number {
    return this.#leg?.sentBytes ?? 0;
  }

  /** Memory of what the cluster has sent, and nobody may see yet. */
  get heldOutputBytes(): number {
    return this.#output?.heldBytes ?? 0;
  }

  get whenTaken(): UpstreamLeg["whenTaken"] {
    return this.#leg?.whenTaken?.bind(this.#leg);
  }

  start(receiver: LegReceiver): void {
    this.#receiver = receiver;
  }

  /** Joins the session with the cluster. It goes on unless it is frozen. */
  join(leg: UpstreamLeg): void {
    const receiver = this.#receiver;
    if (this.#hasEnded || !receiver) {
      leg.abort();
      return;
    }
    this.#leg = leg;
    const { input, onOverflow } = this.#parts;
    this.#output = new HeldOutput({
      ...{ receiver, onOverflow, isSpdy: input.kind === "spdy", canWait: () => leg.hasBackpressure },
    });
    if (this.#isFrozen) this.#output.hold();
    leg.start(this.#output);
    if (!this.#isFrozen) this.#sendLastResize(leg);
  }

  /** Nothing passes from now on, in either direction, but what keeps the connection alive. */
  freeze(): void {
    this.#isFrozen = true;
    this.#output?.hold();
  }

  /** Everything goes on, with what was held. */
  thaw(): void {
    this.#isFrozen = false;
    const leg = this.#leg;
    if (!leg || this.#hasEnded) return;
    this.#sendLastResize(leg);
    for (const frames of this.#frames.splice(0)) leg.send(frames);
    this.#framesBytes = 0;
    this.#output?.pass();
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    if (this.#gate) this.#sendFrames(this.#gate, message);
    else if (this.#leg && !this.#isFrozen) this.#leg.send(message);
    else this.#drop(message);
  }

  ping(payload: Uint8Array): void {
    this.#leg?.ping(payload);
  }

  close(code?: number, reason?: string): void {
    this.#end();
    this.#leg?.close(code, reason);
  }

  abort(): void {
    const hadEnded = this.#hasEnded;
    this.#end();
    if (this.#leg) this.#leg.abort();
    else if (!hadEnded) this.#receiver?.onClose({ code: CloseCode.abnormal, reason: "" });
  }

  #end(): void {
    this.#hasEnded = true;
    this.#frames = [];
    this.#framesBytes = 0;
    this.#output?.end();
  }

  /** Only whole frames are sent, so that one which keeps the connection alive can always be the next. */
  #sendFrames(gate: SpdyFrameGate, message: ArrayBuffer | Uint8Array | string): void {
    const leg = this.#leg;
    const frames = gate.push(bytesOf(message));
    if (!leg || frames.length === 0) return;
    if (!this.#isFrozen) {
      leg.send(concatBytes(frames.map(({ bytes }) => bytes)));
      return;
    }
    const held = frames.filter(({ keepsAlive }) => !keepsAlive).map(({ bytes }) => bytes);
    for (const { bytes } of frames.filter(({ keepsAlive }) => keepsAlive)) leg.send(bytes);
    if (held.length === 0) return;
    const joined = concatBytes(held);
    this.#frames.push(joined);
    this.#framesBytes += joined.length + MESSAGE_OVERHEAD_BYTES;
  }

  #drop(message: ArrayBuffer | Uint8Array | string): void {
    const { input, onInterrupt } = this.#parts;
    if (input.kind !== "typed" || !input.protocol) return;
    const frame = decodeFrame(input.protocol, message);
    const isSize = frame?.channel === Channel.resize && frame.size <= MAX_RESIZE_BYTES;
    if (isSize) this.#lastResize = message;
    if (frame?.channel === Channel.stdin && frame.payload.includes(INTERRUPT)) onInterrupt();
  }

  #sendLastResize(leg: UpstreamLeg): void {
    if (this.#lastResize !== undefined) leg.send(this.#lastResize);
    this.#lastResize = undefined;
  }
}
