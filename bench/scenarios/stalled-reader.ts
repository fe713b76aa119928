/** What a client that stops reading costs: the growth of workerd's resident set while it waits. */
import { setTimeout as delay } from "node:timers/promises";
import { residentMiB } from "../resident.ts";
import { startWorker } from "../variants.ts";
import { hangUp, openExec } from "./exec-socket.ts";
import type { Scenario } from "./scenario.ts";
import { openStalled } from "./stalled.ts";

const WATCH_MS = 20_000;
const SAMPLE_MS = 50;
const SETTLE_MS = 1_000;

/**
 * Each sample has a workerd of its own, because a workerd does not release memory. The local R2 is in the same process: what
 * it needs to store a recording is the difference between the variants with and without recordings.
 */
export const stalledReader: Scenario = {
  name: "stalled-reader",
  metrics: [{ key: "growth", title: "growth of workerd beside a stalled reader of zeros", unit: "MiB" }],
  warmUp: false,
  appliesTo: ({ worker }) => worker !== undefined && process.platform === "linux",
  async measure({ name, worker }, setting) {
    if (!worker) throw new Error(`${name} is no Worker`);
    const { stack, variant } = await startWorker(worker, setting.upstream, setting.home, setting.signal);
    try {
      // One session first, so that one-time costs are not counted.
      await hangUp(await openExec(variant, setting, ["true"]));
      await delay(SETTLE_MS);
      const before = residentMiB(stack.workerdPid());
      const stalled = await openStalled(variant, setting);
      let most = before;
      for (const end = performance.now() + WATCH_MS; performance.now() < end; ) {
        await delay(SAMPLE_MS, undefined, { signal: setting.signal });
        most = Math.max(most, residentMiB(stack.workerdPid()));
      }
      stalled.terminate();
      return { growth: most - before };
    } finally {
      await stack.stop();
    }
  },
};
