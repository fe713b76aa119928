/**
 * The directory's load: what one directory object of workerd takes, beside the load that a number of live
 * objects puts on it.
 *
 *   npm run soak:directory -- [--objects 1500] [--sessions 2] [--seconds 20]
 *
 * First every object reports a new session, then all report as often as the object answers, for as long as
 * asked, while lists are read in between. A driver Worker in the same workerd calls the real directory by
 * RPC, as users' objects do. Prints a line of JSON.
 *
 * Exit code 0 if the directory takes at least as many reports as it lets objects send, and knows every
 * session in the end; 1 if not.
 */
import { parseArgs } from "node:util";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { DIRECTORY_NAME, type LivePage } from "../../contract/directory.ts";
import { CONTRACT_VERSION } from "../../contract/version.ts";
import { bundleToText } from "../../dev/workers/bundle.ts";
import { compatibilityDate, OBJECTS_CONFIGURATION, readWorkerConfiguration } from "../../dev/workers/configuration.ts";
import { MAX_REPORTS_PER_SECOND } from "../../durable/directory/live-directory.ts";
import { median, percentile } from "../../tools/statistics.ts";
import { liveRowOf } from "../support/live-row.ts";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "1500" },
    sessions: { type: "string", default: "2" },
    seconds: { type: "string", default: "20" },
  },
});
const [objects, sessions, seconds] = [values.objects, values.sessions, values.seconds].map(Number) as [
  number,
  number,
  number,
];

/** Calls of one object wait for each other; so many objects call at once. */
const CONCURRENCY = 64;
const OBJECTS = "objects";

/** The driver: one round of reports of all objects, or a list. */
const DRIVER = `
export default {
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    // A new stub for each call, as users' objects make.
    const directory = () => env.DIRECTORY.getByName(${JSON.stringify(DIRECTORY_NAME)});
    if (searchParams.has("list")) {
      const answer = await directory().listLive({ version: ${CONTRACT_VERSION}, filter: {}, limit: 501 });
      return Response.json(answer.value);
    }
    const { template, objects, sessions, at, withRows } = await request.json();
    let next = 0;
    let missing = 0;
    async function work() {
      for (let index = next++; index < objects; index = next++) {
        const report = { version: ${CONTRACT_VERSION}, objectId: "object-" + index, at, omitted: 0, sessions: [] };
        for (let one = 0; one < sessions; one++) {
          const id = index + "-" + one;
          const row = { ...template, id, user: "user-" + index + "@example.com", started_at: index };
          const { active_at, waits_for, bytes_in, bytes_out, messages_in, messages_out } = row;
          const counts = { active_at: at, waits_for, bytes_in, bytes_out: at % 1000, messages_in, messages_out };
          report.sessions.push({ id, counts, ...(withRows && { row }) });
        }
        const answer = await directory().report(report);
        missing += answer.value.missing.length;
      }
    }
    await Promise.all(Array.from({ length: ${CONCURRENCY} }, work));
    return Response.json({ missing });
  },
};`;

const compatibility = { compatibilityDate: compatibilityDate() };
const miniflare = new Miniflare({
  ...convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    workers: [
      {
        ...compatibility,
        name: "driver",
        modules: true,
        script: DRIVER,
        durableObjects: { DIRECTORY: { className: "Directory", scriptName: OBJECTS } },
      },
      {
        ...compatibility,
        name: OBJECTS,
        modules: true,
        script: await bundleToText(readWorkerConfiguration(OBJECTS_CONFIGURATION)),
        durableObjects: { DIRECTORY: { className: "Directory", useSQLite: true } },
      },
    ],
  }),
  unsafeLocalExplorer: false,
});

const template = liveRowOf("template", {
  kubernetes_groups: ["developers", "team-payments", "oncall"],
  command: ["sh", "-c", "clear; (bash || ash || sh)"],
  pod: "checkout-7d9c5b8f6d-x2x7k",
  client_address: "2001:db8:1234:5678:9abc:def0:1234:5678",
  user_agent: "kubectl/v1.36.3 (linux/amd64) kubernetes/a1b2c3d",
});

async function reportAll(origin: URL, at: number, withRows: boolean): Promise<number> {
  const body = JSON.stringify({ template, objects, sessions, at, withRows });
  const answer = await fetch(origin, { method: "POST", body });
  return ((await answer.json()) as { missing: number }).missing;
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly value: T }> {
  const from = performance.now();
  const value = await work();
  return { ms: performance.now() - from, value };
}

try {
  const origin = await miniflare.ready;
  const first = await timed(() => reportAll(origin, Date.now(), true));
  const rates: number[] = [];
  const listMs: number[] = [];
  const until = performance.now() + seconds * 1_000;
  let missing = first.value;
  let page: LivePage | undefined;
  while (performance.now() < until) {
    const round = timed(() => reportAll(origin, Date.now(), false));
    const list = await timed(async () => (await fetch(new URL("/?list", origin))).json() as Promise<LivePage>);
    const { ms, value } = await round;
    rates.push((objects / ms) * 1_000);
    listMs.push(list.ms);
    page = list.value;
    missing += value;
  }
  const result = {
    ...{ objects, sessions: objects * sessions, rowsFirst: Math.round((objects / first.ms) * 1_000) },
    reportsPerSecond: Math.round(median(rates)),
    listMs: { p50: Math.round(median(listMs)), p99: Math.round(percentile(listMs, 0.99)) },
    missing,
    listed: page?.sessions.length,
    letsObjectsSend: MAX_REPORTS_PER_SECOND,
  };
  console.log(JSON.stringify(result));
  const knowsAll = missing === 0 && result.listed === Math.min(501, result.sessions);
  process.exitCode = knowsAll && result.reportsPerSecond >= MAX_REPORTS_PER_SECOND ? 0 : 1;
} finally {
  await miniflare.dispose();
}
