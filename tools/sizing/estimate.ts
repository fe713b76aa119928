/** What a deployment of one size costs, and which limit it reaches first. Pure. */
import { costOf, formatNumber, monthOf, total } from "./cost.ts";
import { D1_GB, keepMonthsBelow } from "./kept-rows.ts";
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
    d1: {
      gbPerMonth,
      monthsUntilFull: D1_GB / gbPerMonth,
      keepMonths: keepMonthsBelow(gbPerMonth, D1_GB),
    },
    configuration: documentSize(scale.clusters),
    loads: loadsOf(day),
  };
}

type Estimate = ReturnType<typeof estimate>;

/** The estimate for a person to read. */
export function describeEstimate({ scale, day, costs, usd, d1, configuration, loads }: Estimate): string {
  return [
    `${formatNumber(scale.users)} people, ${formatNumber(scale.clusters)} clusters. On a workday ${formatNumber(day.activeUsers)} of them open ` +
      `${formatNumber(day.sessions)} sessions; ${formatNumber(day.peak.sessions)} are open at the peak.`,
    "",
    `A month costs $${usd.usage.toFixed(2)}, with seats $${usd.withSeats.toFixed(2)}:`,
    ...costs.map(describeCost),
    "",
    `D1 grows by ${formatNumber(d1.gbPerMonth)} GB a month and reaches ${D1_GB} GB after ${formatNumber(d1.monthsUntilFull)} months, unless rows leave it: with keepMonths up to ${d1.keepMonths} it never fills.`,
    `The configuration takes about ${formatNumber(configuration.bytes)} bytes in ${formatNumber(configuration.variables)} variables.`,
    "",
    "Limits, the fullest first:",
    ...loads.map(describeLoad),
  ].join("\n");
}

function describeCost({ id, arithmetic, amount, usd }: Estimate["costs"][number]): string {
  const { product, counted } = PRICES[id];
  return `  ${`$${usd.toFixed(2)}`.padStart(12)}  ${product}: ${counted}: ${arithmetic} = ${formatNumber(amount)}`;
}

function describeLoad({ what, used, capacity, unit, share, remedy }: Estimate["loads"][number]): string {
  const line = `  ${`${formatNumber(share * 100)} %`.padStart(8)}  ${what}: ${formatNumber(used)} of ${formatNumber(capacity)} ${unit}`;
  return share > REMEDY_SHARE ? `${line}\n            → ${remedy}` : line;
}
