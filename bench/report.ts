/** Turns samples into tables and into a JSON document. */
import { cpus } from "node:os";
import type { Metric, Unit } from "./scenarios/scenario.ts";
import { added, type Comparison, compare, type Summary, summarize } from "./statistics.ts";
import { YARDSTICKS } from "./variants.ts";

/** A metric's samples by variant, in the order of the rounds. */
export interface Measured {
  readonly scenario: string;
  readonly metric: Metric;
  readonly samples: ReadonlyMap<string, readonly number[]>;
}

interface VariantResult extends Summary {
  readonly variant: string;
  readonly samples: readonly number[];
  /** The difference to the Workers' upstream, if that was measured too. */
  readonly added?: number;
  readonly against: Readonly<Record<string, Comparison>>;
}

export interface Result {
  readonly scenario: string;
  readonly metric: string;
  readonly unit: Unit;
  readonly variants: readonly VariantResult[];
}

export function evaluate({ scenario, metric, samples }: Measured, upstream: string | undefined): Result {
  const base = upstream === undefined ? undefined : samples.get(upstream);
  const variants = [...samples].map(([variant, own]) => ({
    variant,
    samples: own,
    ...summarize(own),
    ...(base && variant !== upstream && { added: added(own, base) }),
    against: Object.fromEntries(
      YARDSTICKS.flatMap((yardstick) => {
        const other = samples.get(yardstick);
        return other && yardstick !== variant ? [[yardstick, compare(own, other)]] : [];
      }),
    ),
  }));
  return { scenario, metric: metric.title, unit: metric.unit, variants };
}

const COLUMNS = ["", "median", "min – max", "added", ...YARDSTICKS.map((name) => `× ${name}`)];

export const LEGEND = `Ratios "× X": ratio of medians (median of the ratios within each round) of the row's variant to X.
Above 1 the row is slower, or bigger, than X. "added": median of the differences to the Workers' upstream.`;

/** Renders one metric as a table. */
export function renderResult({ metric, unit, variants }: Result): string {
  const rows = variants.map((row) => [
    row.variant,
    `${figure(row.median, unit)} ${unit}`,
    `${figure(row.min, unit)} – ${figure(row.max, unit)}`,
    row.added === undefined ? "" : `${row.added < 0 ? "" : "+"}${figure(row.added, unit)} ${unit}`,
    ...YARDSTICKS.map((name) => ratio(row.against[name])),
  ]);
  return `${metric}\n${align([COLUMNS, ...rows])}\n`;
}

function figure(value: number, unit: Unit): string {
  return value.toFixed({ s: 3, ms: 3, MiB: 1, "×": 2 }[unit]);
}

function ratio(comparison: Comparison | undefined): string {
  return comparison ? `${comparison.ofMedians.toFixed(2)} (${comparison.pairwise.toFixed(2)})` : "";
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
    )
    .map((cells) => `  ${cells.join("   ")}`.trimEnd())
    .join("\n");
}

/** Describes the machine, without which figures say little. */
export function describeMachine(): { readonly cpus: string; readonly node: string } {
  const all = cpus();
  return { cpus: `${all.length} × ${all[0]?.model.trim() ?? "unknown"}`, node: process.version };
}
