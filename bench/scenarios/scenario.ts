import type { Variant } from "../variants.ts";

/** "×" is a ratio of two figures of one sample. */
export type Unit = "s" | "ms" | "MiB" | "×";

export interface Metric {
  readonly key: string;
  /** What is measured, as shown in the report. */
  readonly title: string;
  readonly unit: Unit;
}

export interface Setting {
  readonly namespace: string;
  readonly pod: string;
  /** The address that the Workers send requests to. */
  readonly upstream: string;
  /** A folder of this run. */
  readonly home: string;
  readonly signal: AbortSignal;
}

/**
 * A task that is performed the same way through every variant. It verifies the result and asserts no time.
 */
export interface Scenario {
  readonly name: string;
  readonly metrics: readonly Metric[];
  /** Whether a first sample is discarded. */
  readonly warmUp: boolean;
  appliesTo(variant: Variant): boolean;
  /** @returns one sample of each metric that the variant has, by its key */
  measure(variant: Variant, setting: Setting): Promise<Readonly<Record<string, number>>>;
}
