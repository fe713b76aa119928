import type { Variant } from "../variants.ts";

export type Unit = "s" | "ms" | "MiB";

export interface Metric {
  readonly key: string;
  /** What is measured, for a person. */
  readonly title: string;
  readonly unit: Unit;
}

export interface Setting {
  readonly namespace: string;
  readonly pod: string;
  /** What the Workers have behind them. */
  readonly upstream: string;
  /** A folder for this run alone. */
  readonly home: string;
  readonly signal: AbortSignal;
}

/** Something that is done the same way through every variant. It verifies what came out, and asserts no time. */
export interface Scenario {
  readonly name: string;
  readonly metrics: readonly Metric[];
  /** Without it, the first sample counts. */
  readonly warmUp: boolean;
  appliesTo(variant: Variant): boolean;
  /** One sample of each metric, by its key. */
  measure(variant: Variant, setting: Setting): Promise<Readonly<Record<string, number>>>;
}
