import { CloseCode, truncateReason } from "../../common/close-codes.ts";
import { bytesOf } from "../protocols/framing.ts";
import { FrameReader } from "../websocket/frame-reader.ts";
import { clientFrameBytes, closePayload, writeClientFrame } from "../websocket/frame-writer.ts";
import { Opcode, WebSocketProtocolError } from "../websocket/protocol.ts";
import { SILENCE_MS } from "../websocket/socket-end.ts";
import type { LegReceiver, UpstreamLeg } from "./leg.ts";

/** A socket as `connect()` gives it, as far as it is used here. */
export interface ByteStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): Promise<void>;
}

/**
 * A quiet session holds a small buffer, a busy one reads much at a time: what a read costs hardly depends on
 * its size.
 */
const MIN_READ_BYTES = 16 * 1024;
const MAX_READ_BYTES = 256 * 1024;
/**
 * What is delivered before the object looks whether the client has room: tiny messages make much of few
 * bytes.
 */
const DELIVERY_BYTES = 32 * 1024;
/**
 * With more waiting, pings stay unanswered: a cluster that takes nothing does not read the answers either.
 */
const MAX_PONG_BACKLOG_BYTES = 256 * 1024;
/**
 * Frames share buffers while they wait: what is in one goes out in one write, and tiny frames cost no more
 * memory than they have bytes.
 */
const SHARED_BUFFER_BYTES = 256 * 1024;
/** Somebody types: a frame of that size gets no large buffer where nothing waits. */
const SMALL_FRAME_BYTES = 4 * 1024;
const MASK_BYTES = 4;
const NOTHING = new Uint8Array(0);

/** A WebSocket to the cluster over a TCP connection whose opening handshake is done (RFC 6455). */
export class TcpLeg implements UpstreamLeg {
  readonly hasBackpressure = true;
  readonly isMeasured = true;
  readonly subprotocol: string;
  readonly #stream: ByteStream;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Bytes that arrived together with the handshake's answer. */
  readonly #early: Uint8Array;
  #receiver: LegReceiver | undefined;
  /** Bytes of all frames so far, and how many of them the connection has taken. */
  #writtenBytes = 0;
  #takenBytes = 0;
  /** Of messages alone. */
  #sentBytes = 0;
  #queue: Uint8Array[] = [];
  /** Frames behind those of the queue, and how many bytes they have. */
  #shared: Uint8Array | undefined;
  #sharedLength = 0;
  /** A shared buffer that was sent. New memory costs more than what is written into it. */
  #spare: Uint8Array | undefined;
  /** The payload of the last ping that was not answered. */
  #unansweredPing: Uint8Array | undefined;
  /** Pending while there is something to write. */
  #writing: Promise<void> | undefined;
  #hasSentClose = false;
  /** Until a write has failed. */
  #canWrite = true;
  /** How many reads there were, and whether the last one waits for the cluster. */
  #reads = 0;
  #isReading = false;

  /**
   * @param reader of the stream, at the first byte after `early`
   * @param writer of the stream
   */
  constructor(
    stream: ByteStream,
    reader: ReadableStreamBYOBReader,
    writer: WritableStreamDefaultWriter<Uint8Array>,
    early: Uint8Array,
    subprotocol: string,
  ) {
    this.#stream = stream;
    this.#reader = reader;
    this.#writer = writer;
    this.#early = early;
    this.subprotocol = subprotocol;
  }

  get unsentBytes(): number {
    return this.#writtenBytes - this.#takenBytes;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  start(receiver: LegReceiver): void {
    this.#receiver = receiver;
    void this.#read(receiver);
  }

  send(message: ArrayBuffer | Uint8Array | string): void {
    const payload = bytesOf(message);
    this.#sentBytes += payload.length;
    this.#write(typeof message === "string" ? Opcode.text : Opcode.binary, payload);
  }

  ping(payload: Uint8Array): void {
    // Whoever sends much gets another one, and whoever was quiet since the last ping holds none.
    this.#spare = undefined;
    this.#write(Opcode.ping, payload);
  }

  close(code?: number, reason = ""): void {
    if (this.#hasSentClose) return;
    const payload = code === undefined ? NOTHING : closePayload(code, truncateReason(reason));
    this.#write(Opcode.close, payload);
    this.#hasSentClose = true;
  }

  abort(): void {
    this.#tellClose(CloseCode.abnormal, "");
    this.#dropQueue();
    void this.#reader.cancel().catch(() => {});
    // The writable half is not aborted: workerd then sends nothing more, not even the FIN of a close. What is
    // being written goes first, so a cluster that reads nothing keeps the connection until it ends it or the
    // object is evicted.
    void this.#stream.close().catch(() => {});
  }

  async #read(receiver: LegReceiver): Promise<void> {
    let close: { code: number; reason: string } | undefined;
    const frames = new FrameReader({
      onData: (opcode, bytes, isFirst, isLast) =>
        receiver.onPart({ bytes, isText: opcode === Opcode.text, isFirst, isLast }),
      onPing: (payload) => {
        this.#unansweredPing = payload;
      },
      onPong: (payload) => receiver.onPong(payload),
      onClose: (code, reason) => {
        close = { code, reason };
      },
    });
    try {
      await this.#deliver(this.#early, frames, receiver);
      let size = MIN_READ_BYTES;
      let buffer = new ArrayBuffer(size);
      while (!close && this.#receiver) {
        receiver.onPause();
        await receiver.whenRoom();
        const { value, done } = await this.#readInto(buffer);
        if (value) await this.#deliver(value, frames, receiver);
        if (done) break;
        size = nextReadSize(size, value.length);
        buffer = value.buffer.byteLength === size ? value.buffer : new ArrayBuffer(size);
      }
      receiver.onPause();
    } catch (error) {
      if (!(error instanceof WebSocketProtocolError)) {
        // The cluster may still be told: the receiver closes this leg.
        this.#receiver?.onFailure(error);
        return;
      }
      this.close(error.closeCode, error.message);
      close ??= { code: CloseCode.abnormal, reason: `the cluster broke the WebSocket protocol: ${error.message}` };
    }
    this.#end(close?.code ?? CloseCode.abnormal, close?.reason ?? "");
  }

  /** A broken connection ends the stream, as the end of a connection does: both are told by 1006. */
  async #readInto(buffer: ArrayBuffer): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
    this.#reads++;
    this.#isReading = true;
    try {
      return await this.#reader.read(new Uint8Array(buffer));
    } catch {
      return { value: undefined, done: true };
    } finally {
      this.#isReading = false;
    }
  }

  /**
   * Delivers what was read, and lets others in between where the client has no room for what was delivered so
   * far.
   */
  async #deliver(bytes: Uint8Array, frames: FrameReader, receiver: LegReceiver): Promise<void> {
    for (let at = 0; at < bytes.length && this.#receiver; at += DELIVERY_BYTES) {
      if (at > 0) {
        const room = receiver.whenRoom();
        if (room !== undefined) {
          receiver.onPause();
          await room;
        }
      }
      frames.push(bytes.subarray(at, at + DELIVERY_BYTES));
    }
    this.#answerPing();
  }

  /** One pong answers all pings before it (RFC 6455, section 5.5.3). */
  #answerPing(): void {
    const payload = this.#unansweredPing;
    this.#unansweredPing = undefined;
    if (payload && this.unsentBytes < MAX_PONG_BACKLOG_BYTES) this.#write(Opcode.pong, payload);
  }

  #write(opcode: (typeof Opcode)[keyof typeof Opcode], payload: Uint8Array): void {
    // Section 5.5.1: nothing follows a close frame.
    if (this.#hasSentClose || !this.#receiver || !this.#canWrite) return;
    const length = clientFrameBytes(payload.length);
    const buffer = this.#bufferFor(length);
    writeClientFrame(buffer, this.#sharedLength, opcode, payload, crypto.getRandomValues(new Uint8Array(MASK_BYTES)));
    this.#sharedLength += length;
    this.#writtenBytes += length;
    this.#writing ??= this.#writeQueue();
  }

  /** @returns a shared buffer that has room for so many bytes, from `#sharedLength` on */
  #bufferFor(bytes: number): Uint8Array {
    if (this.#shared && this.#sharedLength + bytes <= this.#shared.length) return this.#shared;
    this.#flushShared();
    const isAlone = bytes > SHARED_BUFFER_BYTES || (bytes <= SMALL_FRAME_BYTES && !this.#writing);
    if (isAlone) {
      this.#shared = new Uint8Array(bytes);
    } else {
      this.#shared = this.#spare ?? new Uint8Array(SHARED_BUFFER_BYTES);
      this.#spare = undefined;
    }
    return this.#shared;
  }

  #flushShared(): void {
    if (this.#shared && this.#sharedLength > 0) this.#queue.push(this.#shared.subarray(0, this.#sharedLength));
    this.#shared = undefined;
    this.#sharedLength = 0;
  }

  /**
   * One write at a time, as much as there is: the stream begins the next one only after the end of the last
   * was handled, which is an event, and `blockConcurrencyWhile` holds back events.
   */
  async #writeQueue(): Promise<void> {
    try {
      for (;;) {
        if (this.#queue.length === 0) this.#flushShared();
        const chunk = this.#queue.shift();
        if (!chunk) break;
        await this.#writer.write(chunk);
        this.#takenBytes += chunk.length;
        if (chunk.buffer.byteLength === SHARED_BUFFER_BYTES) this.#spare = new Uint8Array(chunk.buffer);
      }
      this.#writing = undefined;
    } catch {
      this.#endWriting();
    }
  }

  /**
   * Nothing more can be written. What the cluster had sent before that is still delivered, for it may end
   * with the command's Status: a broken connection then ends the reading too. One that only takes nothing
   * more is ended as soon as it is silent.
   */
  #endWriting(): void {
    this.#canWrite = false;
    this.#dropQueue();
    this.#writtenBytes = this.#takenBytes;
    this.#endOnceSilent();
  }

  #endOnceSilent(): void {
    const reads = this.#reads;
    setTimeout(() => {
      if (!this.#receiver) return;
      if (this.#isReading && reads === this.#reads) void this.#reader.cancel().catch(() => {});
      else this.#endOnceSilent();
    }, SILENCE_MS);
  }

  #dropQueue(): void {
    this.#flushShared();
    for (const { length } of this.#queue) this.#writtenBytes -= length;
    this.#queue = [];
    this.#spare = undefined;
  }

  /** The cluster's side is over: answers its close frame, and ends the connection once that is on its way. */
  #end(code: number, reason: string): void {
    if (!this.#receiver) return;
    this.close(code === CloseCode.noStatus || code === CloseCode.abnormal ? undefined : code);
    this.#tellClose(code, reason);
    void this.#closeWhenWritten();
  }

  async #closeWhenWritten(): Promise<void> {
    await this.#writing;
    await this.#writer.close().catch(() => {});
    await this.#stream.close().catch(() => {});
  }

  #tellClose(code: number, reason: string): void {
    const receiver = this.#receiver;
    this.#receiver = undefined;
    receiver?.onClose({ code, reason });
  }
}

function nextReadSize(size: number, filled: number): number {
  if (filled === size) return Math.min(size * 2, MAX_READ_BYTES);
  return filled * 4 < size ? Math.max(size / 2, MIN_READ_BYTES) : size;
}
