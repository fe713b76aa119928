import { concatBytes } from "../../common/bytes.ts";
import { bytesOf, decodeMessage, type Framing, isOfStream } from "../protocols/framing.ts";
import type { UpstreamLeg } from "../upstream/leg.ts";
import { Brake, type Clock, LOW_WATER_BYTES, type PauseInput } from "./brake.ts";
import { PIECE_BYTES } from "./split-message.ts";
import type { HeldBytes } from "./step-queue.ts";

/** What may wait in memory for a cluster that is slower than the client. */
export const MAX_UNTAKEN_BYTES = 4 * 1024 * 1024;
/** A cluster that has taken nothing for so long has stopped reading, for now: the brake would not help. */
const STOPPED_MS = 1_000;
/** Bytes of one stream are joined up to this much before they become a row. */
const ROW_BYTES = 64 * 1024;
const MAX_JOINED_PIECES = 1_024;
/** What has no channel, since its protocol has none. */
const NO_CHANNEL = -1;
/** What a row costs beside its bytes, so that a bound in bytes bounds the rows of tiny messages too. */
const ROW_OVERHEAD_BYTES = 1024;
/**
 * What all sessions of an object may store that are held, unless one alone may store more. Each has a bound
 * of its own, but more may wait than may run. Together they would fill the object's storage,
 * which takes 10 GB: then it could store no lock either.
 */
export const MAX_HELD_INPUT_BYTES = 512 * 1024 * 1024;
/** The platform has no event for "has taken": it is asked, ever less often while nothing happens. */
const FIRST_POLL_MS = 2;
const MAX_POLL_MS = 100;

/** A piece of a message that waits for the cluster. */
export interface BufferedPiece {
  readonly bytes: Uint8Array;
  readonly isText: boolean;
  /** Whether the message ends with it. */
  readonly isLast: boolean;
}

/** Where messages wait that the cluster does not take, in order. */
export interface InputBuffer {
  /** @throws where nothing more can be stored */
  append(piece: BufferedPiece): void;
  /** Removes and returns the oldest piece. */
  take(): BufferedPiece | undefined;
  clear(): void;
}

/** Why a client may send no more. */
export type InputOverflow =
  /** As much waits as may. */
  | { readonly kind: "full" }
  /** The same in a session that is held: its own bound, or that of all which are. */
  | { readonly kind: "held" }
  /** The runtime does not say what the cluster has taken, so nothing may wait. */
  | { readonly kind: "unmeasured" }
  /** The object's storage failed. */
  | { readonly kind: "storage"; readonly error: unknown };

export interface UpstreamWriterParts {
  readonly leg: UpstreamLeg;
  readonly framing: Framing;
  readonly buffer: InputBuffer;
  /** What `buffer` may hold. */
  readonly maxBufferedBytes: number;
  /** What the buffers of all sessions of the object have that was stored while they were held. */
  readonly heldByAll: HeldBytes;
  readonly pauseInput: PauseInput;
  readonly clock: Clock;
  /** Nothing more can be sent. Called once. */
  readonly onOverflow: (overflow: InputOverflow) => void;
}

/**
 * The cluster's end of a session's way in.
 *
 * While the cluster takes what it is sent, if slowly, the brake holds the client back. When it has stopped,
 * what the client sends goes to SQLite, so that the object still reads the client: kubectl's pings lie behind
 * its stdin, and it gives up after a minute without an answer. Everything goes out in the order in which it
 * came.
 */
export class UpstreamWriter {
  readonly #parts: UpstreamWriterParts;
  readonly #brake: Brake;
  /** How much the cluster had taken when somebody last asked. */
  #takenBytes = 0;
  #progressAt: number;
  /** What waits in the buffer, with what its rows cost. */
  #bufferedBytes = 0;
  #rows = 0;
  /** What was stored while the session was held, or more. */
  #heldBytes = 0;
  /** Bytes of one stream that will be the buffer's next row. */
  #joined: Uint8Array[] = [];
  #joinedBytes = 0;
  #joinedChannel: number | undefined;
  #isDraining = false;
  #hasEnded = false;

  constructor(parts: UpstreamWriterParts) {
    this.#parts = parts;
    this.#brake = new Brake(parts.pauseInput, parts.clock);
    this.#progressAt = parts.clock.now();
  }

  /** Bytes in memory that the cluster has not taken. */
  get unsentBytes(): number {
    return this.#parts.leg.unsentBytes;
  }

  /** Bytes that the cluster has not taken, wherever they wait. */
  get waitingBytes(): number {
    return this.unsentBytes + this.#bufferedBytes + this.#joinedBytes;
  }

  /** Whether anything is known to wait for the cluster. */
  get isWaiting(): boolean {
    return this.#parts.leg.isMeasured && this.waitingBytes > 0;
  }

  /**
   * Where nothing may be stored, a promise while the cluster still takes what it was sent before. The pieces
   * of one large message would otherwise come faster than any cluster takes them.
   */
  whenRoom(): Promise<void> | undefined {
    return this.#mustWaitForRoom ? this.#waitForRoom() : undefined;
  }

  /** Resolves when the cluster has taken all that it was sent, or the session is over. */
  async whenAllTaken(): Promise<void> {
    for (let pollMs = FIRST_POLL_MS; this.isWaiting && !this.#hasEnded; ) {
      await this.#parts.clock.sleep(pollMs);
      pollMs = Math.min(pollMs * 2, MAX_POLL_MS);
    }
  }

  /**
   * For how long the cluster has taken nothing although something waits for it, ms. To be asked every second
   * or so.
   */
  stalledMs(): number {
    this.#noteProgress();
    return this.#parts.clock.now() - this.#progressAt;
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    if (this.#hasEnded) return;
    if (this.#parts.leg.isDropping) {
      this.#parts.leg.send(message);
      return;
    }
    if (this.#canSendNow(sizeOf(message))) this.#sendNow(message);
    else if (!this.#store(message)) return;
    if (this.#isBuffering) void this.#drain();
    this.#noteProgress();
    if (!this.#isTaking || this.#parts.leg.isHeld) return;
    const canKnow = this.#parts.leg.whenTaken !== undefined;
    this.#brake.apply(() => this.#brakedBytes, canKnow ? (maxMs) => this.#pumpAll(maxMs) : undefined);
  }

  /** The session is over: what waits will never be sent. */
  end(): void {
    this.#hasEnded = true;
    this.#forget();
    try {
      this.#parts.buffer.clear();
    } catch {
      // The object removes all rows at its next start. The end of a session must not fail.
    }
  }

  get #mustWaitForRoom(): boolean {
    if (this.#hasEnded || !this.#parts.leg.isMeasured || this.#parts.maxBufferedBytes > 0) return false;
    return this.unsentBytes > LOW_WATER_BYTES && this.#isTaking;
  }

  async #waitForRoom(): Promise<void> {
    for (let pollMs = FIRST_POLL_MS; this.#mustWaitForRoom; pollMs = Math.min(pollMs * 2, MAX_POLL_MS)) {
      await this.#parts.clock.sleep(pollMs);
      this.#noteProgress();
    }
  }

  /** Whether the cluster has taken something lately. */
  get #isTaking(): boolean {
    return this.#parts.clock.now() - this.#progressAt < STOPPED_MS;
  }

  get #isBuffering(): boolean {
    return this.#rows > 0 || this.#joinedBytes > 0;
  }

  /** The brake holds other sessions up, so it is for memory, and for a buffer that fills up. */
  get #brakedBytes(): number {
    const isFilling = this.#bufferedBytes > this.#parts.maxBufferedBytes / 2;
    return this.unsentBytes + (isFilling ? this.#bufferedBytes : 0);
  }

  #canSendNow(bytes: number): boolean {
    const { unsentBytes } = this;
    if (this.#parts.leg.isHolding) return false;
    return !this.#isBuffering && (unsentBytes === 0 || unsentBytes + bytes <= MAX_UNTAKEN_BYTES);
  }

  #sendNow(message: ArrayBuffer | Uint8Array | string): void {
    // Whoever had nothing to take was not slow.
    if (this.unsentBytes === 0) this.#progressAt = this.#parts.clock.now();
    this.#parts.leg.send(message);
  }

  /** @returns whether it was stored */
  #store(message: ArrayBuffer | Uint8Array | string): boolean {
    if (!this.#parts.leg.isMeasured) return this.#overflow({ kind: "unmeasured" });
    const isText = typeof message === "string";
    const bytes = bytesOf(message);
    const channel = isText ? undefined : this.#streamOf(bytes);
    try {
      if (channel === undefined || channel !== this.#joinedChannel) this.#storeJoined();
      if (channel === undefined) return this.#storeRows(bytes, isText) || this.#overflow({ kind: this.#fullKind });
      this.#joinedChannel = channel;
      if (this.#joinedBytes === 0) this.#join(bytes);
      else this.#join(bytes.subarray(channel === NO_CHANNEL ? 0 : 1));
      if (!this.#hasRoomFor(this.#joinedBytes)) return this.#overflow({ kind: this.#fullKind });
      if (this.#joinedBytes >= ROW_BYTES) this.#storeJoined();
      return true;
    } catch (error) {
      return this.#overflow({ kind: "storage", error });
    }
  }

  #join(bytes: Uint8Array): void {
    this.#joined.push(bytes);
    this.#joinedBytes += bytes.length;
    // Tiny pieces cost more than their bytes.
    if (this.#joined.length >= MAX_JOINED_PIECES) this.#joined = [concatBytes(this.#joined)];
  }

  #storeJoined(): void {
    if (this.#joinedBytes === 0) return;
    const bytes = concatBytes(this.#joined);
    this.#joined = [];
    this.#joinedBytes = 0;
    this.#joinedChannel = undefined;
    this.#storeRow({ bytes, isText: false, isLast: true });
  }

  /** @returns false where they do not fit */
  #storeRows(bytes: Uint8Array, isText: boolean): boolean {
    const rows = Math.max(1, Math.ceil(bytes.length / PIECE_BYTES));
    const cost = bytes.length + rows * ROW_OVERHEAD_BYTES;
    if (!this.#hasRoomFor(cost)) return false;
    for (let row = 0; row < rows; row++) {
      const piece = bytes.subarray(row * PIECE_BYTES, (row + 1) * PIECE_BYTES);
      this.#storeRow({ bytes: piece, isText, isLast: row === rows - 1 });
    }
    return true;
  }

  #hasRoomFor(bytes: number): boolean {
    const { leg, maxBufferedBytes, heldByAll } = this.#parts;
    if (this.#bufferedBytes + bytes > maxBufferedBytes) return false;
    return !leg.isHolding || heldByAll.bytes + bytes <= Math.max(MAX_HELD_INPUT_BYTES, maxBufferedBytes);
  }

  get #fullKind(): "full" | "held" {
    return this.#parts.leg.isHolding ? "held" : "full";
  }

  #storeRow(piece: BufferedPiece): void {
    this.#parts.buffer.append(piece);
    this.#rows++;
    this.#bufferedBytes += costOf(piece);
    if (this.#parts.leg.isHolding) this.#addHeld(costOf(piece));
  }

  #addHeld(bytes: number): void {
    this.#heldBytes += bytes;
    this.#parts.heldByAll.bytes += bytes;
  }

  #takeRow(): BufferedPiece | undefined {
    const piece = this.#parts.buffer.take();
    if (!piece) return undefined;
    this.#rows--;
    this.#bufferedBytes -= costOf(piece);
    this.#addHeld(-Math.min(costOf(piece), this.#heldBytes));
    return piece;
  }

  #forget(): void {
    this.#rows = 0;
    this.#addHeld(-this.#heldBytes);
    this.#bufferedBytes = 0;
    this.#joined = [];
    this.#joinedBytes = 0;
  }

  #overflow(overflow: InputOverflow): false {
    this.end();
    this.#parts.onOverflow(overflow);
    return false;
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    try {
      for (let pollMs = FIRST_POLL_MS; this.#isBuffering; ) {
        const before = this.#parts.leg.takenBytes;
        this.#pump();
        pollMs = this.#parts.leg.takenBytes > before ? FIRST_POLL_MS : Math.min(pollMs * 2, MAX_POLL_MS);
        await this.#parts.clock.sleep(pollMs);
      }
    } finally {
      this.#isDraining = false;
    }
  }

  /** Sends what waits, as far as it is taken. */
  #pump(): void {
    try {
      while (this.#isBuffering && !this.#parts.leg.isHeld && this.unsentBytes <= LOW_WATER_BYTES) {
        if (this.#rows === 0) this.#storeJoined();
        const pieces: BufferedPiece[] = [];
        let piece = this.#takeRow();
        for (; piece && !piece.isLast; piece = this.#takeRow()) pieces.push(piece);
        if (!piece) return;
        const message = joinPieces([...pieces, piece]);
        this.#sendNow(piece.isText ? new TextDecoder().decode(message) : message);
      }
    } catch (error) {
      // What was stored cannot be sent.
      this.#overflow({ kind: "storage", error });
    }
    this.#noteProgress();
  }

  /** For the brake: while it holds back the object's events, nothing else sends what waits. */
  async #pumpAll(maxMs: number): Promise<void> {
    await this.#parts.leg.whenTaken?.(maxMs);
    this.#pump();
  }

  #noteProgress(): void {
    const { unsentBytes, takenBytes, isHeld } = this.#parts.leg;
    if (isHeld || unsentBytes === 0 || takenBytes > this.#takenBytes) this.#progressAt = this.#parts.clock.now();
    this.#takenBytes = takenBytes;
  }

  /**
   * The channel of a message that may be joined with its neighbours; undefined for one that must stay whole.
   */
  #streamOf(bytes: Uint8Array): number | undefined {
    const chunk = decodeMessage(this.#parts.framing, bytes);
    return isOfStream(this.#parts.framing, chunk) ? (chunk.channel ?? NO_CHANNEL) : undefined;
  }
}

function costOf({ bytes }: BufferedPiece): number {
  return bytes.length + ROW_OVERHEAD_BYTES;
}

function sizeOf(message: ArrayBuffer | Uint8Array | string): number {
  return typeof message === "string" ? message.length : message.byteLength;
}

function joinPieces(pieces: readonly BufferedPiece[]): Uint8Array {
  const [only] = pieces;
  return only && pieces.length === 1 ? only.bytes : concatBytes(pieces.map(({ bytes }) => bytes));
}
