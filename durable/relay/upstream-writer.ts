import { concatBytes } from "../../common/bytes.ts";
import type { Framing } from "../protocols/framing.ts";
import type { UpstreamLeg } from "../upstream/leg.ts";
import { Brake, type Clock, LOW_WATER_BYTES, type PauseInput } from "./brake.ts";

/** What may wait in memory for a cluster that is slower than the client. */
export const MAX_UNTAKEN_BYTES = 4 * 1024 * 1024;
/** A cluster that has taken nothing for so long has stopped reading, for now: the brake would not help. */
const STOPPED_MS = 1_000;
/** Larger messages are sent in pieces. SQLite rows hold at most 2 MB. */
const PIECE_BYTES = 512 * 1024;
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

export interface UpstreamWriterParts {
  readonly leg: UpstreamLeg;
  readonly framing: Framing;
  readonly buffer: InputBuffer;
  /** What `buffer` may hold. */
  readonly maxBufferedBytes: number;
  readonly pauseInput: PauseInput;
  readonly clock: Clock;
  /** `buffer` is full, or failed. Nothing more can be sent. Called once. */
  readonly onOverflow: () => void;
}

/**
 * The cluster's end of a session's way in.
 *
 * While the cluster takes what it is sent, if slowly, the brake holds the client back. When it has stopped, what
 * the client sends goes to SQLite, so that the object still reads the client: kubectl's pings lie behind its
 * stdin, and it gives up after a minute without an answer. Everything goes out in the order in which it came.
 */
export class UpstreamWriter {
  readonly #parts: UpstreamWriterParts;
  readonly #brake: Brake;
  /** How much the cluster had taken when somebody last asked. */
  #takenBytes = 0;
  #progressAt: number;
  #bufferedBytes = 0;
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
    return this.unsentBytes + this.#bufferedBytes;
  }

  /** For how long the cluster has taken nothing although something waits for it, ms. To be asked every second or so. */
  stalledMs(): number {
    this.#noteProgress();
    return this.#parts.clock.now() - this.#progressAt;
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    if (this.#hasEnded) return;
    for (const piece of this.#split(message)) {
      if (this.#canSendNow(sizeOf(piece))) this.#sendNow(piece);
      else if (!this.#store(piece)) return;
    }
    if (this.#bufferedBytes > 0) void this.#drain();
    this.#noteProgress();
    const isTaking = this.#parts.clock.now() - this.#progressAt < STOPPED_MS;
    if (!isTaking) return;
    const canKnow = this.#parts.leg.whenTaken !== undefined;
    this.#brake.apply(() => this.waitingBytes, canKnow ? () => this.#pumpAll() : undefined);
  }

  /** The session is over: what waits will never be sent. */
  end(): void {
    this.#hasEnded = true;
    this.#bufferedBytes = 0;
    this.#parts.buffer.clear();
  }

  #canSendNow(bytes: number): boolean {
    const { unsentBytes } = this;
    return this.#bufferedBytes === 0 && (unsentBytes === 0 || unsentBytes + bytes <= MAX_UNTAKEN_BYTES);
  }

  #sendNow(message: ArrayBuffer | Uint8Array | string): void {
    // Whoever had nothing to take was not slow.
    if (this.unsentBytes === 0) this.#progressAt = this.#parts.clock.now();
    this.#parts.leg.send(message);
  }

  /** @returns whether it was stored */
  #store(message: ArrayBuffer | Uint8Array | string): boolean {
    const isText = typeof message === "string";
    const bytes = bytesOf(message);
    const { leg, maxBufferedBytes } = this.#parts;
    if (!leg.isMeasured || this.#bufferedBytes + bytes.length > maxBufferedBytes) return this.#overflow();
    try {
      for (let at = 0; at === 0 || at < bytes.length; at += PIECE_BYTES) {
        const isLast = at + PIECE_BYTES >= bytes.length;
        this.#parts.buffer.append({ bytes: bytes.subarray(at, at + PIECE_BYTES), isText, isLast });
      }
    } catch {
      return this.#overflow();
    }
    this.#bufferedBytes += bytes.length;
    return true;
  }

  #overflow(): false {
    this.end();
    this.#parts.onOverflow();
    return false;
  }

  async #drain(): Promise<void> {
    if (this.#isDraining) return;
    this.#isDraining = true;
    for (let pollMs = FIRST_POLL_MS; this.#bufferedBytes > 0; ) {
      const before = this.#bufferedBytes;
      this.#pump();
      pollMs = this.#bufferedBytes < before ? FIRST_POLL_MS : Math.min(pollMs * 2, MAX_POLL_MS);
      await this.#parts.clock.sleep(pollMs);
    }
    this.#isDraining = false;
  }

  /** Sends what waits, as far as it is taken. */
  #pump(): void {
    while (this.#bufferedBytes > 0 && this.unsentBytes <= LOW_WATER_BYTES) {
      const pieces: BufferedPiece[] = [];
      let piece = this.#parts.buffer.take();
      for (; piece && !piece.isLast; piece = this.#parts.buffer.take()) pieces.push(piece);
      if (!piece) return;
      const message = joinPieces([...pieces, piece]);
      this.#bufferedBytes -= message.length;
      this.#sendNow(piece.isText ? new TextDecoder().decode(message) : message);
    }
    this.#noteProgress();
  }

  /** For the brake: while it holds back the object's events, nothing else sends what waits. */
  async #pumpAll(): Promise<void> {
    await this.#parts.leg.whenTaken?.();
    this.#pump();
  }

  #noteProgress(): void {
    const { unsentBytes, takenBytes } = this.#parts.leg;
    if (unsentBytes === 0 || takenBytes > this.#takenBytes) this.#progressAt = this.#parts.clock.now();
    this.#takenBytes = takenBytes;
  }

  /**
   * Cuts a large message of a stream. One that must stay whole stays whole. Text of a channel becomes binary, as
   * the API server takes it (Python's client sends its stdin as text).
   */
  *#split(message: ArrayBuffer | Uint8Array | string): Iterable<ArrayBuffer | Uint8Array | string> {
    const { framing } = this.#parts;
    const isText = typeof message === "string";
    if (sizeOf(message) <= PIECE_BYTES || framing.kind === "messages" || (isText && framing.kind === "bytes")) {
      yield message;
      return;
    }
    const bytes = bytesOf(message);
    if (framing.kind === "bytes") {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
      return;
    }
    const [channel = 0] = bytes;
    if (framing.protocol.encoding !== "binary" || !framing.isStream(channel)) {
      yield message;
      return;
    }
    for (let at = 1; at < bytes.length; at += PIECE_BYTES) {
      yield concatBytes([Uint8Array.of(channel), bytes.subarray(at, at + PIECE_BYTES)]);
    }
  }
}

function sizeOf(message: ArrayBuffer | Uint8Array | string): number {
  return typeof message === "string" ? message.length : message.byteLength;
}

function bytesOf(message: ArrayBuffer | Uint8Array | string): Uint8Array {
  if (typeof message === "string") return new TextEncoder().encode(message);
  return message instanceof Uint8Array ? message : new Uint8Array(message);
}

function joinPieces(pieces: readonly BufferedPiece[]): Uint8Array {
  const [only] = pieces;
  return only && pieces.length === 1 ? only.bytes : concatBytes(pieces.map(({ bytes }) => bytes));
}
