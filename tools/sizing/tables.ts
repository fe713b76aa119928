/** The tables of docs/SIZING.md. Pure: the same seed gives the same text. */
import { DATABASE_ALARM_BYTES } from "../../audit/seal/database-size.ts";
import { markdownTable } from "../markdown.ts";
import { ASSUMPTIONS as A, USAGE_PROFILES } from "./assumptions.ts";
import { type CostLine, costOf, formatNumber, millionChanges, monthOf, sessionHour, total } from "./cost.ts";
import { D1_GB, d1GbHeld, keepMonthsBelow } from "./kept-rows.ts";
import { CASES, directMs, echoMs, LEGS } from "./keystroke.ts";
import { PLATFORM_LIMITS } from "./platform.ts";
import { PRICES, PRICES_READ_ON, type PriceId } from "./prices.ts";
import { d1DeliveriesPerSecond, d1GbPerMonth, documentSize, type LimitId, type Load, loadsOf } from "./saturation.ts";
import { type Day, simulateDay } from "./simulate.ts";

export const SEED = 20_261_122;

export const SCALES: readonly (readonly [users: number, clusters: number])[] = [
  [10, 1],
  [50, 2],
  [100, 3],
  [500, 5],
  [1_000, 10],
  [2_500, 15],
  [5_000, 25],
  [10_000, 50],
];

/** The summary above the tables. It is generated, so that it cannot contradict them. */
function headline(): string {
  const hour = costOf(sessionHour(), true);
  const shareOf = (id: PriceId) =>
    formatNumber(Math.round((100 * (hour.find((line) => line.id === id)?.usd ?? 0)) / total(hour)));
  const changes = costOf(millionChanges(), true);
  const rowsOf = (id: PriceId) => (changes.find((line) => line.id === id)?.amount ?? 0) / 1e6;
  const people = 1_000;
  const usage = total(costOf(monthOf(dayOf(people, 10))), { seats: false }) / people;
  const crowd = dayOf(10_000, 1);
  const full = (id: LimitId) =>
    Math.round(10_000 / (loadsOf(crowd).find((load) => load.id === id)?.share ?? 0) / 100) * 100;
  const fifty = documentSize(50);
  return [
    `- **An hour in a terminal** costs ${dollars(total(hour), 4)}. Of that, ${shareOf("objectGbSeconds")} % is the time that the user's object is awake, and ${shareOf("objectRowsWritten")} % are rows in its storage, most of them of the recording.`,
    `- **A million changes** cost ${dollars(total(changes), 2)} where each comes alone, and ${dollars(total(changes.filter(({ id }) => id === "objectRowsWritten" || id === "d1RowsWritten")), 2)} of that are rows: ${formatNumber(rowsOf("objectRowsWritten"))} in the object's storage and ${formatNumber(rowsOf("d1RowsWritten"))} in D1 for each.`,
    `- **A person** costs ${dollars(usage, 2)} a month in a deployment of ${formatNumber(people)}. The Access seat, ${dollars(PRICES.seats.usd, 0)}, costs ${formatNumber(Math.round(PRICES.seats.usd / usage))} times as much.`,
    `- **The first limit that people reach** is the size of the D1 database. It grows by ${formatNumber(d1GbPerMonth(crowd))} GB a month of 10,000 people, and takes ${D1_GB} GB. With \`keepMonths\` 1 it holds ${formatNumber(d1GbHeld(d1GbPerMonth(crowd), 1))} GB of theirs, and is full with about ${formatNumber(full("d1Size"))} people. Without it, it is full after ${formatNumber(D1_GB / d1GbPerMonth(crowd))} months of 10,000. Far behind follow the connectors of one cluster (${formatNumber(full("tunnelPeople"))} people) and D1's throughput (about ${formatNumber(full("d1Writes"))}).`,
    `- **The first limit that clusters reach** is the five host names of an Access application. Then comes the size of a Worker's variable: the configuration of fifty clusters has ${formatNumber(fifty.bytes)} bytes and is split into ${fifty.variables} variables.`,
  ].join("\n");
}

function pricesTable(): string {
  const rows = Object.values(PRICES).map(({ product, counted, usd, per, included, source, note }) => [
    product,
    counted,
    usd === 0 ? "free" : `$${usd}${per === 1 ? "" : ` per ${per === 1e6 ? "million" : formatNumber(per)}`}`,
    included === 0 ? "" : formatNumber(included),
    `[${new URL(source).hostname.replace(/^(www|developers)\./, "")}](${source})${note === "" ? "" : `; ${note}`}`,
  ]);
  return `${markdownTable(["product", "billed", "price", "included per month", `source, read on ${PRICES_READ_ON}`], rows)}`;
}

/** @param fromZero as of `costOf` */
function costTable(lines: readonly CostLine[], places: number, fromZero: boolean): string {
  const rows = lines.map(({ id, amount, arithmetic, usd }) => {
    const { product, counted, per, usd: price, included } = PRICES[id];
    const left = !fromZero && included > 0 ? `(${formatNumber(amount)} − ${formatNumber(included)}) × ` : "× ";
    const asked = `${left}$${price}${per === 1 ? "" : " ÷ 10⁶"}`;
    const isIncluded = !fromZero && included > 0 && amount <= included;
    return [
      `${product}: ${counted}`,
      arithmetic,
      formatNumber(amount),
      isIncluded ? `included: ${formatNumber(included)}` : asked,
      dollars(usd, places),
    ];
  });
  const sum = ["**total**", "", "", "", `**${dollars(total(lines), places)}**`];
  return markdownTable(["item", "calculation", "amount", "price", "USD"], [...rows, sum]);
}

function sessionHourTable(): string {
  return costTable(costOf(sessionHour(), true), 6, true);
}

function millionChangesTable(): string {
  return costTable(costOf(millionChanges(), true), 2, true);
}

function monthTable(): string {
  return costTable(costOf(monthOf(dayOf(1_000, 10))), 2, false);
}

function userMonthTable(): string {
  const rows = SCALES.map(([users, clusters]) => {
    const day = dayOf(users, clusters);
    const quantities = monthOf(day);
    const lines = costOf(quantities);
    const usage = total(lines, { seats: false });
    const more = total(
      costOf(
        quantities.filter(({ id }) => id !== "plan" && id !== "seats"),
        true,
      ),
    );
    return [
      formatNumber(users),
      formatNumber(clusters),
      dollars(usage, 2),
      dollars(usage / users, 3),
      dollars(more / users, 3),
      dollars((total(lines) - usage) / users, 2),
    ];
  });
  return markdownTable(
    ["people", "clusters", "usage per month", "per person", "one more person", "and the seat"],
    rows,
  );
}

function scaleTable(): string {
  const rows = SCALES.map(([users, clusters]) => {
    const day = dayOf(users, clusters);
    const perMonth = d1GbPerMonth(day);
    const lines = costOf(monthOf(day));
    const [fullest, ...others] = loadsOf(day);
    const full = [fullest, ...others.filter(({ share }) => share >= 0.5)];
    return [
      formatNumber(users),
      formatNumber(clusters),
      formatNumber(day.sessions),
      formatNumber(day.peak.sessions),
      formatNumber(d1DeliveriesPerSecond(day)),
      formatNumber(perMonth),
      formatNumber(D1_GB / perMonth),
      keepMonthsText(perMonth),
      formatNumber((day.castBytes * A.workdaysPerMonth) / 1e9),
      dollars(total(lines, { seats: false }), 0),
      dollars(total(lines), 0),
      full.map((load) => (load ? named(load) : "")).join("; "),
    ];
  });
  return markdownTable(
    [
      "people",
      "clusters",
      "sessions per day",
      "open at the peak",
      "D1 writes/s at the peak",
      "D1 GB per month",
      `months until ${D1_GB} GB if nothing leaves`,
      `largest \`keepMonths\` below the alarm of ${DATABASE_ALARM_BYTES / 1e9} GB`,
      "R2 GB per month",
      "USD per month",
      "with seats",
      "fullest",
    ],
    rows,
  );
}

/** The largest `keepMonths` with which D1 stays below the alarm, and what D1 then holds. */
function keepMonthsText(gbPerMonth: number): string {
  const keepMonths = keepMonthsBelow(gbPerMonth, DATABASE_ALARM_BYTES / 1e9);
  if (keepMonths === 0) return `none; 1 holds ${formatNumber(d1GbHeld(gbPerMonth, 1))} GB`;
  return `${keepMonths}: ${formatNumber(d1GbHeld(gbPerMonth, keepMonths))} GB`;
}

const named = ({ what, share }: Load) => `${what} ${formatNumber(share * 100)} %`;

/** At how many people on one cluster, or at how many clusters, each limit is reached. */
function saturationTable(): string {
  const people = 10_000;
  const crowd = loadsOf(dayOf(people, 1));
  const clustered = new Map(loadsOf(dayOf(100, 50)).map((load) => [load.id, load]));
  const byClusters = new Set(["accessHosts", "document", "customDomains", "tunnels"]);
  const rows = crowd
    .map((load) => {
      const isByClusters = byClusters.has(load.id);
      const at = isByClusters ? 50 / (clustered.get(load.id)?.share ?? 0) : people / load.share;
      return { load, isByClusters, at };
    })
    .sort((one, other) => Number(one.isByClusters) - Number(other.isByClusters) || one.at - other.at)
    .map(({ load: { what, capacity, unit, remedy }, isByClusters, at }) => [
      what,
      `${formatNumber(capacity)} ${unit}`,
      isByClusters
        ? `${formatNumber(at)} clusters`
        : `${formatNumber(at)} people${what.includes("busiest") ? " on one cluster" : ""}`,
      remedy,
    ]);
  return markdownTable(["limit", "capacity", "reached at", "what to do"], rows);
}

function documentTable(): string {
  const rows = [1, 5, 10, 15, 25, 50, 100, 500].map((clusters) => {
    const { bytes, variables } = documentSize(clusters);
    return [formatNumber(clusters), formatNumber(bytes), formatNumber(variables)];
  });
  return markdownTable(["clusters", "bytes", "variables"], rows);
}

function keystrokeTable(): string {
  const rows = CASES.map(({ what, user, cluster, elsewhere }) => [
    `${what}: ${user} → ${cluster}`,
    `${directMs(user, cluster)} ms`,
    `${echoMs(user, user, cluster)} ms`,
    `${echoMs(user, cluster, cluster)} ms`,
    `${echoMs(user, elsewhere, cluster)} ms (in ${elsewhere})`,
  ]);
  const legs = `Round trips assumed: person ↔ edge ${LEGS.userToEdge} ms, within a region ${LEGS.withinRegion} ms, tunnel ↔ cluster ${LEGS.edgeToCluster} ms, relay ${LEGS.relay} ms.`;
  return `${markdownTable(["case", "without an object", "object near the person", "object near the cluster", "object elsewhere"], rows)}\n\n${legs}`;
}

function assumptionsTable(): string {
  const rows = Object.entries(USAGE_PROFILES).map(([name, profile]) => [
    name,
    formatNumber(profile.perDay),
    `${formatNumber(profile.seconds.median)} s, σ ${profile.seconds.sigma}`,
    `${formatNumber(profile.bytesPerSecond)} B/s`,
    `${formatNumber(profile.messages.least)} + ${formatNumber(profile.messages.perSecond)}/s`,
    profile.castBytesPerSecond === 0 ? "none" : `${formatNumber(profile.castBytesPerSecond)} B/s`,
  ]);
  const { workdaysPerMonth, activeShare, requestsPerDay, auditedRequestsShare, retentionMonths, keepMonths } = A;
  const rest = `A month has ${workdaysPerMonth} workdays. On each, ${formatNumber(activeShare * 100)} % of the people are active and make ${requestsPerDay} API requests, of which ${formatNumber(auditedRequestsShare * 100)} % are in the audit log. Recordings and seals are kept for ${retentionMonths} months, rows in D1 for ${keepMonths}. The busiest hour has ${formatNumber((100 * Math.max(...A.hours)) / A.hours.reduce((sum, one) => sum + one, 0))} % of the day.`;
  return `${markdownTable(["kind", "per person and day", "duration (log-normal)", "traffic", "messages", "recording"], rows)}\n\n${rest}`;
}

function platformTable(): string {
  const rows = PLATFORM_LIMITS.map(({ limit, value, source, effect, remedy }) => [
    limit,
    `[${value}](${source})`,
    effect,
    remedy,
  ]);
  return markdownTable(["limit", "value", "what Sallyport does", "what to do"], rows);
}

const days = new Map<string, Day>();

/** Each day is simulated once: several tables use it. */
function dayOf(users: number, clusters: number): Day {
  const key = `${users}/${clusters}`;
  const day = days.get(key) ?? simulateDay({ users, clusters, busyness: 1 }, SEED);
  days.set(key, day);
  return day;
}

function dollars(usd: number, places: number): string {
  return `$${usd.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places })}`;
}

/** The generated parts of docs/SIZING.md, by name. */
export function sizingTables(): Record<string, string> {
  return {
    headline: headline(),
    assumptions: assumptionsTable(),
    prices: pricesTable(),
    "session-hour": sessionHourTable(),
    "million-changes": millionChangesTable(),
    month: monthTable(),
    "user-month": userMonthTable(),
    scale: scaleTable(),
    saturation: saturationTable(),
    document: documentTable(),
    keystroke: keystrokeTable(),
    platform: platformTable(),
  };
}
