/**
 * A hop between the stack and its cluster that treats some connections as bad networks do: it cuts what is
 * silent, or stops forwarding without a word. Which connections is said by their first line, so by the
 * command of an exec.
 */
import type { Socket } from "node:net";
import { ClusterProxy, requestLineOf } from "./loopback-server.ts";

/** Connections whose first line contains it are cut after so many seconds without a byte either way. */
export const cutAfter = (seconds: number) => `cut-after-${seconds}-s`;
const CUT_AFTER = /cut-after-(\d+)-s/;
/** Connections whose first line contains it freeze when told to. */
export const FREEZABLE = "freezable";

export class Hop extends ClusterProxy {
  readonly #freezable = new Set<Socket>();
  /** How many connections were cut because they were idle. */
  cut = 0;

  /**
   * From now on nothing passes on the connections with FREEZABLE, nor does either end hear of the other's.
   */
  freeze(): void {
    for (const socket of this.#freezable) socket.removeAllListeners("data").removeAllListeners("close").pause();
  }

  protected override join(near: Socket, far: Socket): void {
    let idle: NodeJS.Timeout | undefined;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on("close", () => clearTimeout(idle));
      socket.on("data", (bytes) => {
        idle?.refresh();
        if (!other.write(bytes)) socket.pause();
      });
      socket.on("drain", () => other.resume());
    }
    near.once("data", (bytes) => {
      const requested = requestLineOf(bytes);
      if (requested.includes(FREEZABLE)) this.#freezable.add(near).add(far);
      const seconds = CUT_AFTER.exec(requested)?.[1];
      if (seconds) idle = setTimeout(() => this.#cut(near, far), Number(seconds) * 1000);
    });
  }

  #cut(near: Socket, far: Socket): void {
    this.cut++;
    near.destroy();
    far.destroy();
  }
}
