/** Passes messages between a client's WebSocket and one over TCP, and nothing else. */

import { concatBytes } from "../../common/bytes.ts";
import { CloseCode, isSendableCloseCode } from "../../common/close-codes.ts";
import { Brake, type PauseInput } from "../../durable/relay/brake.ts";
import { FrameReader } from "../../durable/websocket/frame-reader.ts";
import { clientFrameBytes, closePayload, writeClientFrame } from "../../durable/websocket/frame-writer.ts";
import { Opcode } from "../../durable/websocket/protocol.ts";
import type { OpenWebSocket } from "./open-websocket.ts";

const READ_BYTES = 256 * 1024;
const WRITE_BYTES = 256 * 1024;
/** What may wait for a client that is slower than the cluster. */
const MAX_WAITING_BYTES = 1024 * 1024;
const POLL_MS = 1;
const CLOCK = { now: () => Date.now(), sleep: (ms: number) => scheduler.wait(ms) };

export function relay(client: WebSocket, upstream: OpenWebSocket, pauseInput: PauseInput): void {
  const toCluster = new FrameQueue(upstream);
  const brake = new Brake(pauseInput, CLOCK);
  client.binaryType = "arraybuffer";
  client.addEventListener("message", ({ data }) => {
    if (typeof data === "string") toCluster.send(Opcode.text, new TextEncoder().encode(data));
    else toCluster.send(Opcode.binary, new Uint8Array(data as ArrayBuffer));
    // Within a pause nobody hears what was written.
    brake.apply(() => toCluster.waitingBytes, undefined);
  });
  client.addEventListener("close", ({ code }) => toCluster.close(code));
  client.accept({ allowHalfOpen: true });
  void readFromCluster(client, upstream, toCluster);
}

/** Ends both sides when the cluster's is over. */
async function readFromCluster(client: WebSocket, upstream: OpenWebSocket, toCluster: FrameQueue): Promise<void> {
  let closeCode: number | undefined;
  let parts: Uint8Array[] = [];
  const frames = new FrameReader({
    onData(opcode, payload, _isFirst, isLast) {
      // Copied: the runtime sends from this memory later, and the next read is into the same buffer.
      parts.push(payload.slice());
      if (!isLast) return;
      const message = parts.length === 1 ? (parts[0] as Uint8Array) : concatBytes(parts);
      parts = [];
      client.send(opcode === Opcode.text ? new TextDecoder().decode(message) : message);
    },
    onPing: (payload) => toCluster.send(Opcode.pong, payload),
    onPong: () => {},
    onClose: (code) => {
      closeCode = code;
    },
  });
  try {
    frames.push(upstream.early);
    for (let buffer = new ArrayBuffer(READ_BYTES); closeCode === undefined; ) {
      while ((client.bufferedAmount ?? 0) > MAX_WAITING_BYTES) await scheduler.wait(POLL_MS);
      const { value, done } = await upstream.reader.read(new Uint8Array(buffer));
      if (done) break;
      frames.push(value);
      buffer = value.buffer;
    }
  } catch {
    // The client has left, or the connection is broken.
  }
  toCluster.close(closeCode ?? CloseCode.normal);
  if (closeCode !== undefined && isSendableCloseCode(closeCode)) client.close(closeCode);
  else client.close();
  await toCluster.whenWritten();
  await upstream.stream.close();
}

/** Frames for the cluster. While one write is under way, they are collected for the next. */
class FrameQueue {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #mask = new Uint8Array(4);
  #buffers: Uint8Array[] = [];
  /** Behind those of the queue. */
  #filling: Uint8Array | undefined;
  #filled = 0;
  #spare: Uint8Array | undefined;
  #waitingBytes = 0;
  #hasClosed = false;
  #writing: Promise<void> | undefined;

  constructor({ writer }: OpenWebSocket) {
    this.#writer = writer;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  async whenWritten(): Promise<void> {
    await this.#writing;
  }

  send(opcode: (typeof Opcode)[keyof typeof Opcode], payload: Uint8Array): void {
    if (this.#hasClosed) return;
    const length = clientFrameBytes(payload.length);
    const target = this.#bufferFor(length);
    writeClientFrame(target, this.#filled, opcode, payload, crypto.getRandomValues(this.#mask));
    this.#filled += length;
    this.#waitingBytes += length;
    this.#writing ??= this.#write();
  }

  close(code: number): void {
    this.send(Opcode.close, isSendableCloseCode(code) ? closePayload(code, "") : new Uint8Array(0));
    this.#hasClosed = true;
  }

  #bufferFor(length: number): Uint8Array {
    if (this.#filling && this.#filled + length <= this.#filling.length) return this.#filling;
    this.#flush();
    if (!this.#writing || length > WRITE_BYTES) this.#filling = new Uint8Array(length);
    else this.#filling = this.#spare ?? new Uint8Array(WRITE_BYTES);
    if (this.#filling === this.#spare) this.#spare = undefined;
    return this.#filling;
  }

  #flush(): void {
    if (this.#filling && this.#filled > 0) this.#buffers.push(this.#filling.subarray(0, this.#filled));
    this.#filling = undefined;
    this.#filled = 0;
  }

  async #write(): Promise<void> {
    try {
      for (;;) {
        if (this.#buffers.length === 0) this.#flush();
        const chunk = this.#buffers.shift();
        if (!chunk) break;
        await this.#writer.write(chunk);
        this.#waitingBytes -= chunk.length;
        if (chunk.buffer.byteLength === WRITE_BYTES) this.#spare = new Uint8Array(chunk.buffer);
      }
    } catch {
      // The connection is broken: nobody takes the rest.
      this.#hasClosed = true;
      this.#waitingBytes = 0;
    }
    this.#writing = undefined;
  }
}
