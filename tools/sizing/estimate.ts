/** What a deployment of one size costs, and which limit it reaches first. Pure. */
import { costOf, monthOf, n, total } from "./cost.ts";
import { PRICES } from "./prices.ts";
import { d1GbPerMonth, documentSize, loadsOf } from "./saturation.ts";
import { type Scale, simulateDay } from "./simulate.ts";

export const MAX_USERS = 100_000;
export const MAX_CLUSTERS = 1_000;

/** The share of a limit above which the estimate says what to do. */
const REMEDY_SHARE = 0.5;

/** @param seed of the simulated day: the same seed gives the same estimate */
export function estimate(scale: Scale, seed: number) {
  const day = simulateDay(scale, seed);
  const costs = costOf(monthOf(day));
  const gbPerMonth = d1GbPerMonth(day);
  return {
    scale,
    day,
    costs,
    usd: { usage: total(costs, { seats: false }), withSeats: total(costs) },
    d1: { gbPerMonth, monthsUntilFull: 10 / gbPerMonth },
    configuration: documentSize(scale.clusters),
    loads: loadsOf(day),
  };
}

type Estimate = ReturnType<typeof estimate>;

/** The estimate for a person to read. */
export function describeEstimate({ scale, day, costs, usd, d1, configuration, loads }: Estimate): string {
  return [
    `${n(scale.users)} people, ${n(scale.clusters)} clusters. On a workday ${n(day.activeUsers)} of them open ` +
      `${n(day.sessions)} sessions; ${n(day.peak.sessions)} are open at the peak.`,
    "",
    `A month costs $${usd.usage.toFixed(2)}, with seats $${usd.withSeats.toFixed(2)}:`,
    ...costs.map(describeCost),
    "",
    `D1 grows by ${n(d1.gbPerMonth)} GB a month and reaches 10 GB after ${n(d1.monthsUntilFull)} months.`,
    `The configuration takes about ${n(configuration.bytes)} bytes in ${n(configuration.variables)} variables.`,
    "",
    "Limits, the fullest first:",
    ...loads.map(describeLoad),
  ].join("\n");
}

function describeCost({ id, arithmetic, amount, usd }: Estimate["costs"][number]): string {
  const { product, counted } = PRICES[id];
  return `  ${`$${usd.toFixed(2)}`.padStart(12)}  ${product}: ${counted}: ${arithmetic} = ${n(amount)}`;
}

function describeLoad({ what, used, capacity, unit, share, remedy }: Estimate["loads"][number]): string {
  const line = `  ${`${n(share * 100)} %`.padStart(8)}  ${what}: ${n(used)} of ${n(capacity)} ${unit}`;
  return share > REMEDY_SHARE ? `${line}\n            → ${remedy}` : line;
}
