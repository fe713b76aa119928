import { connect, createServer, type Server, type Socket } from "node:net";

/** A TCP server on a free port of loopback. It ends with everything that is connected to it. */
export abstract class LoopbackServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => {
      this.track(socket);
      this.accept(socket);
    });
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

  protected abstract accept(socket: Socket): void;

  protected track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    // A close event follows.
    socket.on("error", () => {});
  }
}

/** Stands in front of a cluster, and ends each side of a connection with the other. */
export abstract class ClusterProxy extends LoopbackServer {
  readonly #target: URL;

  /** @param target URL of the cluster */
  constructor(target: string) {
    super();
    this.#target = new URL(target);
  }

  /** @param near the client's side. @param far the cluster's */
  protected abstract join(near: Socket, far: Socket): void;

  protected override accept(near: Socket): void {
    const far = connect(Number(this.#target.port), this.#target.hostname);
    this.track(far);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    this.join(near, far);
  }
}

/** The first line of a connection's first bytes. It has an exec's command. */
export function requestLineOf(bytes: Buffer): string {
  return bytes.toString("latin1", 0, 4_096).split("\r\n", 1)[0] ?? "";
}
