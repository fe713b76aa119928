/** The latency of typing: one byte in, one byte back, one at a time. */
import type { WebSocket } from "ws";
import { percentile } from "../../tools/statistics.ts";
import { hangUp, openExec, STDIN, STDOUT } from "./exec-socket.ts";
import type { Scenario } from "./scenario.ts";

const FIRST_KEYS = 50;
const KEYS = 500;

export const echo: Scenario = {
  name: "echo",
  metrics: [
    { key: "p50", title: "keystroke echo, p50", unit: "ms" },
    { key: "p99", title: "keystroke echo, p99", unit: "ms" },
  ],
  warmUp: true,
  appliesTo: () => true,
  async measure(variant, setting) {
    const socket = await openExec(variant, setting, ["cat"]);
    const samples: number[] = [];
    try {
      for (let count = 0; count < FIRST_KEYS + KEYS; count++) {
        const elapsed = await roundTrip(socket);
        if (count >= FIRST_KEYS) samples.push(elapsed);
      }
    } finally {
      await hangUp(socket);
    }
    return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
  },
};

const KEY = Buffer.from([STDIN, 0x78]);

function roundTrip(socket: WebSocket): Promise<number> {
  return new Promise((resolve, reject) => {
    const onClose = (code: number) => reject(new Error(`the session ended (${code}) while keys were typed`));
    const onMessage = (message: Buffer) => {
      // The cluster first sends an empty frame per channel.
      if (message[0] !== STDOUT || message.length < 2) return;
      const elapsed = performance.now() - start;
      socket.off("message", onMessage).off("close", onClose);
      resolve(elapsed);
    };
    socket.on("message", onMessage).once("close", onClose);
    const start = performance.now();
    socket.send(KEY);
  });
}
