/**
 * The client's end of a session: joins what may be joined, and knows how much the client has not read.
 *
 * `WebSocket.send()` never blocks and queues without bound in the object's memory. What a slow client has not
 * read must therefore never be read from the cluster: see `whenRoom`.
 */
import type { Clock } from "./brake.ts";

/**
 * The largest message that an API server sends: 32 KiB and a channel byte. Some clients take no larger one.
 */
export const API_SERVER_MESSAGE_BYTES = 32 * 1024 + 1;
/**
 * What a message costs hardly depends on its size. kubectl takes any (gorilla/websocket without a read
 * limit).
 */
export const LARGE_MESSAGE_BYTES = 128 * 1024;

/**
 * With more than this unread, the object reads no more from the cluster. Enough to keep a fast reader busy.
 */
export const HIGH_WATER_BYTES = 512 * 1024;
/** It goes on when the reader is down to this. */
export const LOW_WATER_BYTES = 256 * 1024;
/**
 * What a client may leave unread where the cluster cannot be told to wait: over the platform's WebSocket, the
 * brake lets a message pass between two slices.
 */
export const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** What a message costs in memory beside its bytes, while it waits. */
const MESSAGE_OVERHEAD_BYTES = 256;
/** The platform has no event for "has read": it is asked, ever less often while nothing happens. */
const FIRST_POLL_MS = 1;
const MAX_POLL_MS = 100;

interface ClientSocket {
  send(message: ArrayBuffer | Uint8Array | string): void;
  /** There since workerd 1.20261117. */
  readonly bufferedAmount?: number;
}

/** Which messages a client is known to take, by its own word. A wrong word harms nobody but the client. */
export function maxMessageBytesOf(userAgent: string | null): number {
  return userAgent?.startsWith("kubectl/") ? LARGE_MESSAGE_BYTES : API_SERVER_MESSAGE_BYTES;
}

export class ClientWriter {
  readonly #socket: ClientSocket;
  readonly #clock: Clock;
  readonly #maxMessageBytes: number;
  /**
   * The message that is being joined. Full ones are given away: the runtime sends from their memory later.
   */
  #message: Uint8Array;
  #length = 0;
  #channel: number | undefined;
  #sentBytes = 0;
  #takenBytes = 0;
  #progressAt: number;
  /** Since the client had last read everything. */
  #messagesSinceRead = 0;
  #bytesSinceRead = 0;
  #room: Promise<void> | undefined;
  #hasEnded = false;

  constructor(socket: ClientSocket, maxMessageBytes: number, clock: Clock) {
    this.#socket = socket;
    this.#maxMessageBytes = maxMessageBytes;
    this.#message = new Uint8Array(0);
    this.#clock = clock;
    this.#progressAt = clock.now();
  }

  /** Whether the runtime says what the client has read: workerd does since 1.20261117. */
  get isMeasured(): boolean {
    return this.#socket.bufferedAmount !== undefined;
  }

  /** Whether the client has so much unread that `whenRoom` waits. */
  get isFull(): boolean {
    return this.#room !== undefined;
  }

  /** Bytes that the client has been sent and has not read. Without a measure, all that was ever sent. */
  get unsentBytes(): number {
    return this.#socket.bufferedAmount ?? this.#sentBytes;
  }

  /** The memory that unread messages take, about: the runtime counts their bytes, not the messages. */
  get heldBytes(): number {
    const unsent = this.unsentBytes;
    if (unsent === 0 || this.#bytesSinceRead === 0) return unsent;
    const messages = Math.ceil((this.#messagesSinceRead * unsent) / this.#bytesSinceRead);
    return unsent + messages * MESSAGE_OVERHEAD_BYTES;
  }

  /** The session is over: nobody waits for room any more. */
  end(): void {
    this.#hasEnded = true;
  }

  /**
   * Takes bytes of a stream, which go out with others of the same one.
   *
   * @param channel what a message begins with; undefined where messages have no channel byte
   * @param payload copied
   */
  append(channel: number | undefined, payload: Uint8Array): void {
    if (this.#length > 0 && channel !== this.#channel) this.flush();
    for (let at = 0; at < payload.length; ) {
      if (this.#length === 0) this.#begin(channel);
      const room = this.#message.length - this.#length;
      const piece = payload.subarray(at, at + room);
      this.#message.set(piece, this.#length);
      this.#length += piece.length;
      at += piece.length;
      if (this.#length === this.#message.length) this.flush();
    }
  }

  /** Sends what was joined. */
  flush(): void {
    if (this.#length === 0) return;
    const isFull = this.#length === this.#message.length;
    const message = isFull ? this.#message : this.#message.slice(0, this.#length);
    if (isFull) this.#message = new Uint8Array(0);
    this.#length = 0;
    this.#give(message);
  }

  /** Sends a message as it is, after all before it. */
  send(message: ArrayBuffer | Uint8Array | string): void {
    this.flush();
    this.#give(message);
  }

  /** A promise while the client has too much unread; undefined while it has room. */
  whenRoom(): Promise<void> | undefined {
    if (this.#hasEnded || !this.isMeasured || this.heldBytes <= HIGH_WATER_BYTES) return undefined;
    this.#room ??= this.#waitForRoom().finally(() => {
      this.#room = undefined;
    });
    return this.#room;
  }

  /**
   * For how long the client has read nothing although something waits for it, ms. To be asked every second or
   * so.
   */
  stalledMs(): number {
    const unsent = this.unsentBytes;
    const taken = this.#sentBytes - unsent;
    if (unsent === 0 || taken > this.#takenBytes || !this.isMeasured) this.#progressAt = this.#clock.now();
    this.#takenBytes = taken;
    return this.#clock.now() - this.#progressAt;
  }

  /** Nobody could have read anything: that time does not count. */
  excuseStall(): void {
    this.#progressAt = this.#clock.now();
  }

  #begin(channel: number | undefined): void {
    if (this.#message.length === 0) this.#message = new Uint8Array(this.#maxMessageBytes);
    this.#channel = channel;
    if (channel === undefined) return;
    this.#message[0] = channel;
    this.#length = 1;
  }

  #give(message: ArrayBuffer | Uint8Array | string): void {
    if (this.#socket.bufferedAmount === 0) {
      this.#messagesSinceRead = 0;
      this.#bytesSinceRead = 0;
    }
    try {
      this.#socket.send(message);
    } catch {
      // The socket closed under us; its close event follows.
      return;
    }
    const bytes = typeof message === "string" ? message.length : message.byteLength;
    this.#sentBytes += bytes;
    this.#bytesSinceRead += bytes;
    this.#messagesSinceRead++;
  }

  async #waitForRoom(): Promise<void> {
    let held = this.heldBytes;
    for (let pollMs = FIRST_POLL_MS; held > LOW_WATER_BYTES && !this.#hasEnded; ) {
      await this.#clock.sleep(pollMs);
      const before = held;
      held = this.heldBytes;
      pollMs = held < before ? FIRST_POLL_MS : Math.min(pollMs * 2, MAX_POLL_MS);
    }
  }
}
