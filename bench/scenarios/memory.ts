/** Memory of a user's sessions: workerd's resident set before, with and after 50 of them. */
import { setTimeout as delay } from "node:timers/promises";
import type { WebSocket } from "ws";
import { type Background, startInBackground } from "../processes.ts";
import { residentMiB } from "../resident.ts";
import { startWorker } from "../variants.ts";
import { hangUp, openExec } from "./exec-socket.ts";
import type { Scenario } from "./scenario.ts";

const SESSIONS = 50;
const STREAMING = 10;
const WATCH_MS = 8_000;
const SAMPLE_MS = 50;
const SETTLE_MS = 1_000;

/** Each sample has a workerd of its own, because a workerd does not release memory. */
export const memory: Scenario = {
  name: "memory",
  metrics: [
    { key: "before", title: "RSS of workerd before any session", unit: "MiB" },
    { key: "during", title: `most while ${SESSIONS} sessions are open, ${STREAMING} of them streaming`, unit: "MiB" },
    { key: "difference", title: "difference of the two", unit: "MiB" },
    { key: "after", title: "a second after they ended", unit: "MiB" },
  ],
  warmUp: false,
  appliesTo: ({ worker }) => worker !== undefined && process.platform === "linux",
  async measure({ name, worker }, setting) {
    if (!worker) throw new Error(`${name} is no Worker`);
    const { stack, variant } = await startWorker(worker, setting.upstream, setting.home, setting.signal, {
      limits: { maxSessionsPerUser: SESSIONS },
    });
    const idle: WebSocket[] = [];
    const streaming: Background[] = [];
    const stopAll = () => Promise.all([...idle.map(hangUp), ...streaming.map((stream) => stream.stop())]);
    try {
      // One session first, so that one-time costs are not counted for the fifty.
      await hangUp(await openExec(variant, setting, ["true"]));
      await delay(SETTLE_MS);
      const before = residentMiB(stack.workerdPid());
      while (idle.length < SESSIONS - STREAMING) idle.push(await openExec(variant, setting, ["cat"]));
      // Real kubectl, because this process could not read ten streams fast enough.
      const { namespace, pod, signal } = setting;
      const stream = variant.kubectl.command("exec", "-n", namespace, pod, "--", "cat", "/dev/zero");
      while (streaming.length < STREAMING) streaming.push(startInBackground(stream.file, stream.args, stream.env));
      let during = 0;
      for (const end = performance.now() + WATCH_MS; performance.now() < end; ) {
        await delay(SAMPLE_MS, undefined, { signal });
        during = Math.max(during, residentMiB(stack.workerdPid()));
      }
      const lost =
        idle.filter((socket) => socket.readyState !== socket.OPEN).length +
        streaming.filter((kubectl) => !kubectl.isRunning()).length;
      if (lost > 0) throw new Error(`${name}: ${lost} of ${SESSIONS} sessions did not stay open`);
      await stopAll();
      await delay(SETTLE_MS);
      return { before, during, difference: during - before, after: residentMiB(stack.workerdPid()) };
    } finally {
      await stopAll();
      await stack.stop();
    }
  },
};
