/** The tables of docs/SIZING.md. Pure: the same seed makes the same text. */
import { markdownTable } from "../markdown.ts";
import { ASSUMPTIONS as A, HABITS } from "./assumptions.ts";
import { type CostLine, costOf, monthOf, n, sessionHour, total } from "./cost.ts";
import { directMs, echoMs, LEGS, WAYS } from "./keystroke.ts";
import { PLATFORM_LIMITS } from "./platform.ts";
import { PRICES, type PriceId, SEEN } from "./prices.ts";
import { d1DeliveriesPerSecond, d1GbPerMonth, documentSize, type LimitId, type Load, loadsOf } from "./saturation.ts";
import { type Day, simulateDay } from "./simulate.ts";

export const SEED = 20_261_122;

/** From ten people to ten thousand, from one cluster to fifty. */
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

/** What somebody in a hurry reads; made here, so that it cannot say something else than the tables. */
function headline(): string {
  const hour = costOf(sessionHour(), true);
  const shareOf = (id: PriceId) => n(Math.round((100 * (hour.find((line) => line.id === id)?.usd ?? 0)) / total(hour)));
  const people = 1_000;
  const usage = total(costOf(monthOf(dayOf(people, 10))), { seats: false }) / people;
  const crowd = dayOf(10_000, 1);
  const full = (id: LimitId) =>
    Math.round(10_000 / (loadsOf(crowd).find((load) => load.id === id)?.share ?? 0) / 100) * 100;
  const fifty = documentSize(50);
  return [
    `- **An hour in a terminal** costs ${dollars(total(hour), 4)}: ${shareOf("objectGbSeconds")} % of it the time that the user's object is awake, ${shareOf("objectRowsWritten")} % rows in its storage, most of them the recording's.`,
    `- **A person** uses ${dollars(usage, 2)} a month where there are ${n(people)}. The Access seat, ${dollars(PRICES.seats.usd, 0)}, costs ${n(Math.round(PRICES.seats.usd / usage))} times as much.`,
    `- **What people fill first** is the D1 database: 10 GB hold ${A.retentionMonths} months of some ${n(full("d1Size"))} people; with 10,000 they hold ${n(10 / d1GbPerMonth(crowd))} months. Then, far behind, the connectors of one cluster (${n(full("tunnelPeople"))}) and D1's one thread (some ${n(full("d1Writes"))}).`,
    `- **What clusters fill first** is one Access application: five host names. Then a Worker's variable: the configuration of fifty clusters is ${n(fifty.bytes)} bytes and goes into ${fifty.variables} of them.`,
  ].join("\n");
}

function pricesTable(): string {
  const rows = Object.values(PRICES).map(({ product, counted, usd, per, included, source, note }) => [
    product,
    counted,
    usd === 0 ? "free" : `$${usd}${per === 1 ? "" : ` a ${per === 1e6 ? "million" : n(per)}`}`,
    included === 0 ? "" : n(included),
    `[${new URL(source).hostname.replace(/^(www|developers)\./, "")}](${source})${note === "" ? "" : `; ${note}`}`,
  ]);
  return `${markdownTable(["product", "counted", "price", "a month includes", `source, seen ${SEEN}`], rows)}`;
}

function costTable(lines: readonly CostLine[], places: number): string {
  const rows = lines.map(({ id, amount, arithmetic, usd }) => {
    const { product, counted, per, usd: price, included } = PRICES[id];
    const left = places === 2 && included > 0 ? `(${n(amount)} − ${n(included)}) × ` : "× ";
    const asked = `${left}$${price}${per === 1 ? "" : " ÷ 10⁶"}`;
    const isIncluded = places === 2 && included > 0 && amount <= included;
    return [
      `${product}: ${counted}`,
      arithmetic,
      n(amount),
      isIncluded ? `included: ${n(included)}` : asked,
      dollars(usd, places),
    ];
  });
  const sum = ["**together**", "", "", "", `**${dollars(total(lines), places)}**`];
  return markdownTable(["what", "how many", "that is", "price", "USD"], [...rows, sum]);
}

function sessionHourTable(): string {
  return costTable(costOf(sessionHour(), true), 6);
}

function monthTable(): string {
  return costTable(costOf(monthOf(dayOf(1_000, 10))), 2);
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
      n(users),
      n(clusters),
      dollars(usage, 2),
      dollars(usage / users, 3),
      dollars(more / users, 3),
      dollars((total(lines) - usage) / users, 2),
    ];
  });
  return markdownTable(
    ["people", "clusters", "usage, a month", "for each of them", "one more of them", "and the seat"],
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
      n(users),
      n(clusters),
      n(day.sessions),
      n(day.peak.sessions),
      n(d1DeliveriesPerSecond(day)),
      n(perMonth),
      n(10 / perMonth),
      n((day.castBytes * A.workdaysPerMonth) / 1e9),
      dollars(total(lines, { seats: false }), 0),
      dollars(total(lines), 0),
      full.map((load) => (load ? named(load) : "")).join("; "),
    ];
  });
  return markdownTable(
    [
      "people",
      "clusters",
      "sessions a day",
      "open at the peak",
      "D1 writes/s at the peak",
      "D1 GB a month",
      "months until 10 GB",
      "R2 GB a month",
      "USD a month",
      "with seats",
      "fullest",
    ],
    rows,
  );
}

const named = ({ what, share }: Load) => `${what} ${n(share * 100)} %`;

/** Where each limit is met, if only people come (to one cluster), and if only clusters come. */
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
      `${n(capacity)} ${unit}`,
      isByClusters ? `${n(at)} clusters` : `${n(at)} people${what.includes("busiest") ? " on one cluster" : ""}`,
      remedy,
    ]);
  return markdownTable(["what", "holds", "full at", "what to do"], rows);
}

function documentTable(): string {
  const rows = [1, 5, 10, 15, 25, 50, 100, 500].map((clusters) => {
    const { bytes, variables } = documentSize(clusters);
    return [n(clusters), n(bytes), n(variables)];
  });
  return markdownTable(["clusters", "bytes", "variables"], rows);
}

function keystrokeTable(): string {
  const rows = WAYS.map(({ what, user, cluster, elsewhere }) => [
    `${what}: ${user} → ${cluster}`,
    `${directMs(user, cluster)} ms`,
    `${echoMs(user, user, cluster)} ms`,
    `${echoMs(user, cluster, cluster)} ms`,
    `${echoMs(user, elsewhere, cluster)} ms (in ${elsewhere})`,
  ]);
  const legs = `Legs, round trip: person ↔ edge ${LEGS.userToEdge} ms, within a region ${LEGS.withinRegion} ms, tunnel's edge ↔ cluster ${LEGS.edgeToCluster} ms, relay ${LEGS.relay} ms.`;
  return `${markdownTable(["way", "without an object", "object near the person", "object near the cluster", "object left elsewhere"], rows)}\n\n${legs}`;
}

function assumptionsTable(): string {
  const rows = Object.entries(HABITS).map(([name, habit]) => [
    name,
    n(habit.perDay),
    `${n(habit.seconds.median)} s, σ ${habit.seconds.sigma}`,
    `${n(habit.bytesPerSecond)} B/s`,
    `${n(habit.messages.least)} + ${n(habit.messages.perSecond)}/s`,
    habit.castBytesPerSecond === 0 ? "none" : `${n(habit.castBytesPerSecond)} B/s`,
  ]);
  const { workdaysPerMonth, activeShare, requestsPerDay, requestsOnRecordShare, retentionMonths } = A;
  const rest = `${workdaysPerMonth} days at work a month; ${n(activeShare * 100)} % of the people at work on one; ${requestsPerDay} plain requests of each, ${n(requestsOnRecordShare * 100)} % of them on record; record and recordings kept for ${retentionMonths} months. The busiest hour has ${n((100 * Math.max(...A.hours)) / A.hours.reduce((sum, one) => sum + one, 0))} % of the day.`;
  return `${markdownTable(["kind", "a person and day", "lasts (log-normal)", "moves", "messages", "is recorded as"], rows)}\n\n${rest}`;
}

function platformTable(): string {
  const rows = PLATFORM_LIMITS.map(({ limit, figure, source, here, remedy }) => [
    limit,
    `[${figure}](${source})`,
    here,
    remedy,
  ]);
  return markdownTable(["limit", "figure", "what happens here", "what to do"], rows);
}

const days = new Map<string, Day>();

/** Simulated once; several tables look at the same day. */
function dayOf(users: number, clusters: number): Day {
  const key = `${users}/${clusters}`;
  const day = days.get(key) ?? simulateDay({ users, clusters, busyness: 1 }, SEED);
  days.set(key, day);
  return day;
}

function dollars(usd: number, places: number): string {
  return `$${usd.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places })}`;
}

/** Name of each table in docs/SIZING.md → its text. */
export function sizingTables(): Record<string, string> {
  return {
    headline: headline(),
    assumptions: assumptionsTable(),
    prices: pricesTable(),
    "session-hour": sessionHourTable(),
    month: monthTable(),
    "user-month": userMonthTable(),
    scale: scaleTable(),
    saturation: saturationTable(),
    document: documentTable(),
    keystroke: keystrokeTable(),
    platform: platformTable(),
  };
}
