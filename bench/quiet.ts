/** Keeps work that a Worker does after a sample (such as an upload to R2) out of the next one. */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Variant } from "./variants.ts";

const LOOK_MS = 300;
/** Clock ticks (10 ms) of processor time within LOOK_MS that count as idle. */
const RESTING_TICKS = 1;
const MAX_WAIT_MS = 120_000;

/**
 * Waits until every variant's workerd is idle. Linux only; elsewhere it returns at once.
 *
 * @throws if one of them does not become idle
 */
export async function untilQuiet(variants: readonly Variant[], signal: AbortSignal): Promise<void> {
  if (process.platform !== "linux") return;
  const end = performance.now() + MAX_WAIT_MS;
  for (let before = usedTicks(variants); ; ) {
    await delay(LOOK_MS, undefined, { signal });
    const now = usedTicks(variants);
    if (now.every((ticks, index) => ticks - (before[index] ?? 0) <= RESTING_TICKS)) return;
    if (performance.now() > end) throw new Error("a Worker did not become idle between two samples");
    before = now;
  }
}

function usedTicks(variants: readonly Variant[]): number[] {
  return variants.map(({ workerdPid }) => {
    const pid = workerdPid?.();
    if (pid === undefined) return 0;
    // The name in parentheses may contain spaces. utime and stime are the 14th and 15th fields.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return Number(fields[11]) + Number(fields[12]);
  });
}
