/** A proxy in front of the cluster that holds back its answer or its close frame, so that a test can act in between. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** An exec whose command contains the first gets no answer to its upgrade; with the second it gets no close frame. */
export const HOLD_ANSWER = "hold-answer";
export const HOLD_CLOSE = "hold-close";

const CLOSE_FRAME = 8;

export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What has been held back so far: `HOLD_ANSWER` or `HOLD_CLOSE` each time. */
  readonly held: string[] = [];

  /** @param target URL of the cluster */
  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((near) => this.#join(near, connect(Number(port), hostname)));
  }

  /** @returns its URL */
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
      // A session's request is the last one of its connection.
      const [requested = ""] = bytes.toString("latin1", 0, 4_096).split("\r\n", 1);
      if (requested.includes(HOLD_ANSWER)) pass = () => this.#hold(HOLD_ANSWER);
      if (requested.includes(HOLD_CLOSE)) pass = this.#withoutClose(near);
      far.write(bytes);
    });
    far.on("data", (bytes) => pass(bytes));
  }

  /** Forwards a WebSocket server's frames up to its close frame. */
  #withoutClose(near: Socket): (bytes: Buffer) => void {
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

  #hold(what: string): void {
    this.held.push(what);
  }
}

function headLength(bytes: Buffer): number | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  return end < 0 ? undefined : end + 4;
}

/** The length of an unmasked frame; undefined until its head is complete. */
function frameLength(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  if (short < 126) return 2 + short;
  if (short === 126) return bytes.length < 4 ? undefined : 4 + bytes.readUInt16BE(2);
  return bytes.length < 10 ? undefined : 10 + Number(bytes.readBigUInt64BE(2));
}
