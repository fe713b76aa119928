/** The variants under load: Sallyport with and without recordings, and a Worker that only relays. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ConfigOverrides } from "../../../dev/stack/index.ts";
import { SoakStack } from "./soak-stack.ts";
import type { StackRequest } from "./stack-program.ts";

export const VARIANTS = ["untouched", "unrecorded", "recorded"] as const;
export type Variant = (typeof VARIANTS)[number];

const UNTOUCHED = resolve(import.meta.dirname, "../../../bench/untouched/wrangler.jsonc");

export function startVariant(
  variant: Variant,
  config: ConfigOverrides,
  options: Pick<StackRequest, "inspector" | "transport"> = {},
): Promise<SoakStack> {
  switch (variant) {
    case "untouched":
      return SoakStack.start(config, { ...options, wranglerConfig: UNTOUCHED });
    case "unrecorded":
      return SoakStack.start({ ...config, recording: { mode: "off" } }, options);
    case "recorded":
      return SoakStack.start(config, options);
  }
}

/** @returns RSS in MiB */
export function residentMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** @throws if `value` is not one of them */
export function oneOf<T extends string>(known: readonly T[], value: string): T {
  const found = known.find((each) => each === value);
  if (found === undefined) throw new Error(`${value} must be one of ${known.join(", ")}`);
  return found;
}
