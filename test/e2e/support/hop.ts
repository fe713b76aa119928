/**
 * A hop between the stack and its cluster that treats some connections as bad networks do: it cuts what is silent, or stops
 * forwarding without a word. Which connections is said by their first line, so by the command of an exec.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Connections whose first line contains it are cut after CUT_MS without a byte in either direction. */
export const CUT_WHEN_IDLE = "cut-when-idle";
/** Connections whose first line contains it freeze when told to. */
export const FREEZABLE = "freezable";

const CUT_MS = 20_000;

export class Hop {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #freezable = new Set<Socket>();
  /** How many connections were cut because they were idle. */
  cut = 0;

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

  /** From now on nothing passes on the connections with FREEZABLE, nor does either end hear of the other's. */
  freeze(): void {
    for (const socket of this.#freezable) socket.removeAllListeners("data").removeAllListeners("close").pause();
  }

  #join(near: Socket, far: Socket): void {
    let idle: NodeJS.Timeout | undefined;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        clearTimeout(idle);
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.on("data", (bytes) => {
        idle?.refresh();
        if (!other.write(bytes)) socket.pause();
      });
      socket.on("drain", () => other.resume());
    }
    near.once("data", (bytes) => {
      const [requested = ""] = bytes.toString("latin1", 0, 4_096).split("\r\n", 1);
      if (requested.includes(FREEZABLE)) this.#freezable.add(near).add(far);
      if (requested.includes(CUT_WHEN_IDLE)) idle = setTimeout(() => this.#cut(near, far), CUT_MS);
    });
  }

  #cut(near: Socket, far: Socket): void {
    this.cut++;
    near.destroy();
    far.destroy();
  }
}
