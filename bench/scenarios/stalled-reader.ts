/**
 * What a client that stops reading costs: the growth of workerd's resident set, and of the Workers' heaps,
 * while it waits.
 */
import { setTimeout as delay } from "node:timers/promises";
import { WorkerHeaps } from "../../test/soak/support/inspector.ts";
import { residentMiB } from "../resident.ts";
import { startWorker } from "../variants.ts";
import { hangUp, openExec } from "./exec-socket.ts";
import type { Scenario } from "./scenario.ts";
import { openStalled } from "./stalled.ts";

const MIB = 1024 * 1024;
const WATCH_MS = 20_000;
const SAMPLE_MS = 50;
const SETTLE_MS = 1_000;

/**
 * Each sample has a workerd of its own, because a workerd does not release memory. The local R2 is in the
 * same process, and V8 collects late: what the Workers still hold is in their heaps after a collection.
 */
export const stalledReader: Scenario = {
  name: "stalled-reader",
  metrics: [
    { key: "growth", title: "growth of workerd beside a stalled reader of zeros, with R2 and garbage", unit: "MiB" },
    { key: "held", title: "growth of both Workers' heaps, after a collection", unit: "MiB" },
  ],
  warmUp: false,
  appliesTo: ({ worker }) => worker !== undefined && process.platform === "linux",
  async measure({ name, worker }, setting) {
    if (!worker) throw new Error(`${name} is no Worker`);
    const { stack, variant } = await startWorker(worker, setting.upstream, setting.home, setting.signal, {
      inspector: true,
    });
    const heaps = await WorkerHeaps.connect(stack.inspectorUrl ?? "");
    try {
      // One session first, so that one-time costs are not counted.
      await hangUp(await openExec(variant, setting, ["true"]));
      await delay(SETTLE_MS);
      const heapBefore = await heaps.content();
      const before = residentMiB(stack.workerdPid());
      const stalled = await openStalled(variant, setting);
      let most = before;
      for (const end = performance.now() + WATCH_MS; performance.now() < end; ) {
        await delay(SAMPLE_MS, undefined, { signal: setting.signal });
        most = Math.max(most, residentMiB(stack.workerdPid()));
      }
      const held = ((await heaps.content()).bytes - heapBefore.bytes) / MIB;
      stalled.terminate();
      return { growth: most - before, held };
    } finally {
      heaps.close();
      await stack.stop();
    }
  },
};
