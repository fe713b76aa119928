/**
 * `npm run sizing`: what a deployment of a size costs, and what becomes too small first.
 *
 *   npm run sizing -- --users 300 --clusters 4        one size, from a simulated day
 *   npm run sizing -- --write                         the tables of docs/SIZING.md
 *
 * Needs no account and no network: prices, limits and habits are data in tools/sizing/.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { fillGenerated } from "./generated.ts";
import { costOf, monthOf, n, total } from "./sizing/cost.ts";
import { PRICES } from "./sizing/prices.ts";
import { d1GbPerMonth, documentSize, loadsOf } from "./sizing/saturation.ts";
import { simulateDay } from "./sizing/simulate.ts";
import { SEED, sizingTables } from "./sizing/tables.ts";

const DOCUMENT = "docs/SIZING.md";
const MOST_USERS = 100_000;
const MOST_CLUSTERS = 1_000;

const USAGE = `Usage: npm run sizing [-- options]

  --users N      people, 1 to ${MOST_USERS}. Default: 100
  --clusters N   1 to ${MOST_CLUSTERS}. Default: 1
  --busyness X   how much each does, against tools/sizing/assumptions.ts. Default: 1
  --seed N       of the simulated day. Default: ${SEED}
  --json         for programs
  --write        writes the tables of ${DOCUMENT} instead
`;

function readFlags() {
  const { values } = parseArgs({
    options: {
      users: { type: "string", default: "100" },
      clusters: { type: "string", default: "1" },
      busyness: { type: "string", default: "1" },
      seed: { type: "string", default: String(SEED) },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return values;
}

/** @throws Error in words where a number is none, or out of its range */
function numberOf(name: string, text: string, least: number, most: number, isWhole = true): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= least && value <= most) || (isWhole && !Number.isInteger(value))) {
    throw new Error(`--${name} ${text}: ${isWhole ? "a whole number" : "a number"} from ${least} to ${most}`);
  }
  return value;
}

function readScale({ users, clusters, busyness }: ReturnType<typeof readFlags>) {
  return {
    users: numberOf("users", users, 1, MOST_USERS),
    clusters: numberOf("clusters", clusters, 1, MOST_CLUSTERS),
    busyness: numberOf("busyness", busyness, 0.01, 100, false),
  };
}

function sizeOf(flags: ReturnType<typeof readFlags>) {
  const scale = readScale(flags);
  const day = simulateDay(scale, numberOf("seed", flags.seed, 0, 2 ** 32 - 1));
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

/** What a person reads. */
function describe({ scale, day, costs, usd, d1, configuration, loads }: ReturnType<typeof sizeOf>): string {
  const costLines = costs.map(
    ({ id, arithmetic, amount, usd: price }) =>
      `  ${`$${price.toFixed(2)}`.padStart(12)}  ${PRICES[id].product}: ${PRICES[id].counted}: ${arithmetic} = ${n(amount)}`,
  );
  const loadLines = loads.map(
    ({ what, used, capacity, unit, share, remedy }) =>
      `  ${`${n(share * 100)} %`.padStart(8)}  ${what}: ${n(used)} of ${n(capacity)} ${unit}${share > 0.5 ? `\n            → ${remedy}` : ""}`,
  );
  return [
    `${n(scale.users)} people, ${n(scale.clusters)} clusters. On a day at work ${n(day.activeUsers)} of them open ${n(day.sessions)} sessions; ${n(day.peak.sessions)} are open at the peak.`,
    "",
    `A month costs $${usd.usage.toFixed(2)}, with seats $${usd.withSeats.toFixed(2)}:`,
    ...costLines,
    "",
    `D1 grows by ${n(d1.gbPerMonth)} GB a month: 10 GB after ${n(d1.monthsUntilFull)} months.`,
    `The configuration takes some ${n(configuration.bytes)} bytes: ${n(configuration.variables)} variables.`,
    "",
    "The fullest first:",
    ...loadLines,
  ].join("\n");
}

try {
  const flags = readFlags();
  if (flags.help) console.log(USAGE);
  else if (flags.write) writeFileSync(DOCUMENT, fillGenerated(readFileSync(DOCUMENT, "utf8"), sizingTables()));
  else console.log(flags.json ? JSON.stringify(sizeOf(flags), undefined, 2) : describe(sizeOf(flags)));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
