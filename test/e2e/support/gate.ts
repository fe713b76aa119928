/** Stands before the cluster and holds back what it says at a session's edges, so that a test can act just then. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** An exec whose command has one of these words gets no answer to its upgrade, or all but the close frame. */
export const HOLD_ANSWER = "hold-answer";
export const HOLD_CLOSE = "hold-close";

const CLOSE_FRAME = 8;

export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Words that have been acted on. */
  readonly held: string[] = [];

  /** @param target URL of the cluster */
  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((near) => this.#join(near, connect(Number(port), hostname)));
  }

  /** @returns where it answers */
  async open(): Promise<string> {
    await new Promise<void>((listening) => this.#server.listen(0, "127.0.0.1", listening));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(near: Socket, far: Socket): void {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    let pass: (bytes: Buffer) => void = (bytes) => near.write(bytes);
    near.on("data", (bytes) => {
      // A request for a session is the last one of its connection.
      const [requested = ""] = bytes.toString("latin1", 0, 4_096).split("\r\n", 1);
      if (requested.includes(HOLD_ANSWER)) pass = () => this.#hold(HOLD_ANSWER);
      if (requested.includes(HOLD_CLOSE)) pass = this.#allButTheClose(near);
      far.write(bytes);
    });
    far.on("data", (bytes) => pass(bytes));
  }

  /** What a WebSocket server says, frame by frame, until it closes. */
  #allButTheClose(near: Socket): (bytes: Buffer) => void {
    let rest = Buffer.alloc(0);
    let hasHead = false;
    let isClosed = false;
    return (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      while (!isClosed) {
        const length = hasHead ? frameLength(rest) : headLength(rest);
        if (length === undefined || rest.length < length) return;
        isClosed = hasHead && ((rest[0] ?? 0) & 0x0f) === CLOSE_FRAME;
        if (isClosed) this.#hold(HOLD_CLOSE);
        else near.write(rest.subarray(0, length));
        hasHead = true;
        rest = rest.subarray(length);
      }
    };
  }

  #hold(word: string): void {
    this.held.push(word);
  }
}

function headLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  return end < 0 ? undefined : end + 4;
}

/** Of an unmasked frame; undefined while that much of it has not come. */
function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  if (short < 126) return 2 + short;
  if (short === 126) return bytes.length < 4 ? undefined : 4 + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + Number(bytes.readBigUInt64BE(2));
}
