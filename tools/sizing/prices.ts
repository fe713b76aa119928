/** Cloudflare's list prices in USD, Workers Paid plan, as data. Contracts differ. */

/** The day on which the sources were read. */
export const PRICES_READ_ON = "2026-11-22";

export interface Price {
  readonly product: string;
  /** What is billed. */
  readonly counted: string;
  /** USD for each `per` of it, above what a month includes. */
  readonly usd: number;
  readonly per: number;
  readonly included: number;
  readonly source: string;
  /** What the source leaves open, or what else matters. */
  readonly note: string;
}

const DOCS = "https://developers.cloudflare.com";
const MILLION = 1_000_000;

function priced(
  [product, counted]: readonly [string, string],
  [usd, per, included]: readonly [number, number, number],
  source: string,
  note = "",
): Price {
  return { product, counted, usd, per, included, source, note };
}

const worker = `${DOCS}/workers/platform/pricing/`;
const objects = `${DOCS}/durable-objects/platform/pricing/`;
const d1 = `${DOCS}/d1/platform/pricing/`;
const r2 = `${DOCS}/r2/pricing/`;
const zeroTrust = "https://www.cloudflare.com/plans/zero-trust-services/";

/** In the order of the table in docs/SIZING.md. */
export const PRICES = {
  plan: priced(["Workers", "the paid plan, per account"], [5, 1, 0], worker),
  workerRequests: priced(
    ["Workers", "requests"],
    [0.3, MILLION, 10 * MILLION],
    worker,
    "WebSocket messages through a Worker do not count",
  ),
  workerCpuMs: priced(["Workers", "CPU time, ms"], [0.02, MILLION, 30 * MILLION], worker),
  logEvents: priced(
    ["Workers Logs", "log events"],
    [0.6, MILLION, 20 * MILLION],
    `${DOCS}/workers/observability/logs/workers-logs/`,
    "until 2026-12-01; afterwards Cloudflare Observability's prices, which were not published then",
  ),
  objectRequests: priced(
    ["Durable Objects", "requests"],
    [0.15, MILLION, MILLION],
    objects,
    "calls, alarms, and one for every 20 incoming WebSocket messages",
  ),
  objectGbSeconds: priced(
    ["Durable Objects", "duration, GB-s"],
    [12.5, MILLION, 400_000],
    objects,
    "128 MB while a socket is open: with accept() an object does not hibernate",
  ),
  objectRowsWritten: priced(
    ["Durable Objects", "SQLite rows written"],
    [1, MILLION, 50 * MILLION],
    objects,
    "deletes and settings of alarms count",
  ),
  objectRowsRead: priced(["Durable Objects", "SQLite rows read"], [0.001, MILLION, 25_000 * MILLION], objects),
  d1RowsWritten: priced(["D1", "rows written"], [1, MILLION, 50 * MILLION], d1, "each index entry is a row"),
  d1RowsRead: priced(["D1", "rows read"], [0.001, MILLION, 25_000 * MILLION], d1),
  d1StorageGb: priced(["D1", "storage, GB-month"], [0.75, 1, 5], d1),
  r2ClassA: priced(["R2", "class A operations: puts, parts"], [4.5, MILLION, MILLION], r2),
  r2ClassB: priced(["R2", "class B operations: gets"], [0.36, MILLION, 10 * MILLION], r2),
  r2StorageGb: priced(["R2", "storage, GB-month"], [0.015, 1, 10], r2, "egress is free"),
  vpc: priced(
    ["Workers VPC", "services"],
    [0, 1, 0],
    `${DOCS}/workers-vpc/reference/pricing/`,
    "free during the open beta; later prices are not published",
  ),
  tunnels: priced(["Tunnel", "tunnels"], [0, 1, 0], zeroTrust, "cloudflared runs on your own machines"),
  seats: priced(
    ["Zero Trust", "seats: people who sign in"],
    [7, 1, 0],
    zeroTrust,
    "free up to 50; above, pay-as-you-go counts all of them. The $7 is quoted in Cloudflare's community (618213); the price page could not be read",
  ),
} as const satisfies Record<string, Price>;

export type PriceId = keyof typeof PRICES;

/** Zero Trust is free up to this number of people. */
export const FREE_SEATS = 50;
