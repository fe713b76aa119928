import { concatBytes } from "../../common/bytes.ts";
import { SpdyFrameGate } from "../../kubernetes/spdy/frame-gate.ts";
import type { MessagePart } from "../protocols/framing.ts";
import type { LegClose, LegReceiver } from "./leg.ts";

/** With more held, the leg reads no more. Until then it still answers the cluster's pings. */
export const FULL_BYTES = 512 * 1024;
/** What is held of a cluster that cannot be told to wait. */
export const MAX_HELD_BYTES = 4 * 1024 * 1024;
/** What a part costs in memory beside its bytes. */
const PART_OVERHEAD_BYTES = 256;

export interface HeldOutputParts {
  readonly receiver: LegReceiver;
  /** Whether the bytes are SPDY, of which PING and SETTINGS pass. */
  readonly isSpdy: boolean;
  /** Whether the leg waits while `whenRoom` is pending. */
  readonly canWait: () => boolean;
  /** More than may be held has come of a leg that cannot wait. Called once; nothing passes after. */
  readonly onOverflow: () => void;
}

/**
 * What the cluster sends, on its way to the relay. While it is held, nothing of it is delivered, seen or
 * recorded: only what keeps a connection alive passes.
 */
export class HeldOutput implements LegReceiver {
  readonly #parts: HeldOutputParts;
  readonly #gate: SpdyFrameGate | undefined;
  #held: MessagePart[] = [];
  #heldBytes = 0;
  #close: LegClose | undefined;
  #isHolding = false;
  #hasEnded = false;
  #release: (() => void) | undefined;
  #released: Promise<void> | undefined;

  constructor(parts: HeldOutputParts) {
    this.#parts = parts;
    this.#gate = parts.isSpdy ? new SpdyFrameGate() : undefined;
  }

  /** Memory of what is held. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  hold(): void {
    this.#isHolding = true;
  }

  /** Delivers what was held, in its order. */
  pass(): void {
    if (!this.#isHolding) return;
    this.#isHolding = false;
    const { receiver } = this.#parts;
    const held = this.#held;
    this.#forget();
    for (const part of held) receiver.onPart(part);
    receiver.onPause();
    if (this.#close) receiver.onClose(this.#close);
  }

  /** The session is over: what is held is never delivered. */
  end(): void {
    this.#hasEnded = true;
    this.#isHolding = false;
    this.#close = undefined;
    this.#forget();
  }

  onPart(part: MessagePart): void {
    // Text is none of SPDY, and its observer ends the session.
    if (!this.#gate || part.isText) {
      this.#take(part);
      return;
    }
    const frames = this.#gate.push(part.bytes);
    if (!this.#isHolding) {
      if (frames.length > 0) this.#take(wholeMessage(concatBytes(frames.map(({ bytes }) => bytes))));
      return;
    }
    const { receiver } = this.#parts;
    for (const { bytes, keepsAlive } of frames) {
      if (keepsAlive) receiver.onPart(wholeMessage(bytes));
      else this.#take(wholeMessage(bytes));
    }
  }

  onPause(): void {
    this.#parts.receiver.onPause();
  }

  onPong(payload: Uint8Array): void {
    this.#parts.receiver.onPong(payload);
  }

  /** The end comes after all that came before it: a command's last output, and how it ended. */
  onClose(close: LegClose): void {
    if (this.#held.length > 0) this.#close = close;
    else this.#parts.receiver.onClose(close);
  }

  onFailure(error: unknown): void {
    this.#parts.receiver.onFailure(error);
  }

  whenRoom(): Promise<void> | undefined {
    if (!this.#isHolding || this.#heldBytes < FULL_BYTES) return this.#parts.receiver.whenRoom();
    this.#released ??= new Promise((resolve) => {
      this.#release = resolve;
    });
    return this.#released;
  }

  #take(part: MessagePart): void {
    if (!this.#isHolding) {
      if (!this.#hasEnded) this.#parts.receiver.onPart(part);
      return;
    }
    // A view that is valid during the call only.
    this.#held.push({ ...part, bytes: part.bytes.slice() });
    this.#heldBytes += part.bytes.length + PART_OVERHEAD_BYTES;
    if (this.#parts.canWait() || this.#heldBytes <= MAX_HELD_BYTES) return;
    this.end();
    this.#parts.onOverflow();
  }

  #forget(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#release?.();
    this.#release = undefined;
    this.#released = undefined;
  }
}

function wholeMessage(bytes: Uint8Array): MessagePart {
  return { bytes, isText: false, isFirst: true, isLast: true };
}
