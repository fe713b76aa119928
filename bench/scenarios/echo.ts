/** The latency of typing: one byte in, one byte back, one at a time. */
import { setTimeout as delay } from "node:timers/promises";
import type { WebSocket } from "ws";
import { percentile } from "../../tools/statistics.ts";
import type { Variant } from "../variants.ts";
import { hangUp, openExec, STDIN, STDOUT } from "./exec-socket.ts";
import type { Scenario, Setting } from "./scenario.ts";
import { openStalled } from "./stalled.ts";

const FIRST_KEYS = 50;
const KEYS = 500;
/** Until the stalled session's buffers are full, on the way from the cluster to the client. */
export const STALLING_MS = 3_000;

export const echo: Scenario = {
  name: "echo",
  metrics: [
    { key: "p50", title: "keystroke echo, p50", unit: "ms" },
    { key: "p99", title: "keystroke echo, p99", unit: "ms" },
  ],
  warmUp: true,
  appliesTo: () => true,
  measure: typeKeys,
};

/** In one sample, so that both figures of a ratio are from the same moment of the machine. */
export const echoBesideStalled: Scenario = {
  name: "echo-beside-stalled",
  metrics: [
    { key: "p50", title: "keystroke echo beside a stalled reader of the same user, p50", unit: "ms" },
    { key: "p99", title: "the same, p99", unit: "ms" },
    { key: "p50Ratio", title: "p50, compared with the echo without a stalled reader", unit: "×" },
    { key: "p99Ratio", title: "p99, compared with the echo without a stalled reader", unit: "×" },
  ],
  warmUp: true,
  appliesTo: () => true,
  async measure(variant, setting) {
    const alone = await typeKeys(variant, setting);
    const stalled = await openStalled(variant, setting);
    try {
      await delay(STALLING_MS, undefined, { signal: setting.signal });
      const beside = await typeKeys(variant, setting);
      return { ...beside, p50Ratio: beside.p50 / alone.p50, p99Ratio: beside.p99 / alone.p99 };
    } finally {
      stalled.terminate();
    }
  },
};

async function typeKeys(variant: Variant, setting: Setting): Promise<{ p50: number; p99: number }> {
  const socket = await openExec(variant, setting, ["cat"]);
  try {
    await typeInto(socket, FIRST_KEYS);
    const samples = await typeInto(socket, KEYS);
    return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
  } finally {
    await hangUp(socket);
  }
}

/**
 * Types into a session of `cat`, each key once the one before was echoed.
 *
 * @returns ms until each was
 */
export async function typeInto(socket: WebSocket, keys: number): Promise<number[]> {
  const samples: number[] = [];
  while (samples.length < keys) samples.push(await roundTrip(socket));
  return samples;
}

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
