/**
 * The kill run of changes: kills the edge or the objects with SIGKILL while several people make changes all
 * the time, so that records and requests are under way together at every kill. Afterwards each change that
 * the cluster saw, by its own audit log, must be its person's and have one row: with the status that the
 * cluster logged, or with "no answer known". No row may tell of a change that was not made.
 *
 *   npm run soak:kill-changes -- [--kills 50] [--of edge|objects|all] [--cluster embedded|real] [--seed N]
 *                                [--keep]
 *
 * `edge`: the objects run in a workerd of their own, as they run apart from the edge in a deployment, and
 * live on. `objects`: the other way round; then nobody's request is cut, and a change may have no row only if
 * its client was told so (503). `all`: both run in one workerd, which is killed. Changes that were cut may
 * have no row, with the edge alone if it died in the moment in which they left. They are counted:
 * docs/REFERENCE.md, "What may be missing".
 *
 * `real` needs KUBE_TEST_IMPERSONATOR and KUBE_TEST_AUDIT, as .ci/smoke sets them, and a namespace `demo` in
 * which the group `developers` may change ConfigMaps. The run deletes those that it made.
 *
 * Exit code 0 if nothing was lost and nothing was invented, 1 if not, 2 if the run failed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import { Random } from "../../tools/random.ts";
import { KubectlProxy, realCluster } from "../e2e/support/real-cluster.ts";
import { type Kill, readAuditLog } from "./support/audit-log.ts";
import { ChangeLoops, type Killed } from "./support/change-loops.ts";
import { persona, tokenUser } from "./support/people.ts";
import { SoakStack } from "./support/soak-stack.ts";
import { spread } from "./support/statistics.ts";
import { oneOf } from "./support/variants.ts";

const CONFIG: ConfigOverrides = {
  identities: [
    { match: { emailDomain: "example.com" }, groups: ["developers"] },
    { match: { emailDomain: "example.net" }, groups: ["developers"] },
    { match: { emailDomain: "soak.example" }, groups: ["developers"] },
  ],
  audit: { requests: { maxChangesPerMinute: 100_000, maxChangesPerDay: 1_000_000 } },
};
/** So many changes of each person are under way at once. */
const PLACES_EACH = 4;
/** Longest pause between two changes, ms: long enough for a kill to meet some of them at each step. */
const MOST_PAUSE_MS = 20;
/** The heartbeat wakes a crashed object after 30 s. */
const DELIVERED_WITHIN_MS = 60_000;

const { values: flags } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    cluster: { type: "string", default: "embedded" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    of: { type: "string", default: "edge" },
    keep: { type: "boolean", default: false },
  },
});

async function main(): Promise<number> {
  const [wanted, seed] = [Number(flags.kills), Number(flags.seed)];
  if (!Number.isSafeInteger(seed) || !(wanted >= 1 && wanted <= 1_000)) throw new Error("--kills 1..1000, --seed N");
  const killed = oneOf(["edge", "objects", "all"] as const, flags.of);
  const kind = oneOf(["embedded", "real"] as const, flags.cluster);
  const real = kind === "real" ? realCluster("soak:kill-changes") : undefined;
  if (kind === "real" && !real) throw new Error("there is no real cluster");
  const proxy = real && (await KubectlProxy.start(real));
  const random = new Random(seed);
  const started = Date.now();
  console.log(`soak:kill-changes, ${wanted} kills of ${killed}, ${kind} cluster, seed ${seed}`);
  const stack = await SoakStack.start(CONFIG, { upstream: proxy?.url, objectsApart: killed !== "all" });
  const changes = new ChangeLoops(stack, {
    run: String(seed),
    clusterAuditLog: real?.auditLog ?? stack.facts.clusterAuditLog,
    killed,
  });
  const kills: Kill[] = [];
  let faults = ["the run did not finish"];
  try {
    const strangers = [1, 2, 3].map((number) => tokenUser(stack, `changes-${number}@soak.example`));
    const people = [persona(stack, "alice"), persona(stack, "bob"), ...strangers];
    changes.start(people, PLACES_EACH, MOST_PAUSE_MS, random.fork());
    while (kills.length < wanted) {
      await delay(random.between(200, 1_500));
      kills.push(await killOnce(stack, killed));
    }
    await delay(1_000);
    await changes.stop();
    const deliveredBy = Date.now() + DELIVERED_WITHIN_MS;
    while (changes.missing(kills).length > 0 && Date.now() < deliveredBy) await delay(250);

    const { verdict } = readAuditLog(stack.facts.d1Path);
    faults = [
      ...verdict.broken.map(({ session_id, seq, problem }) => `chain: ${session_id} event ${seq}: ${problem}`),
      ...changes.faults(kills),
    ];
    const counts = changes.counts(kills);
    const { answered, refused, unanswered, unknown, seen, seenUnanswered, withoutRow, told } = counts;
    console.log(`
kills            ${kills.length}
back after       ${spread(
      kills.map(({ at, readyAt }) => readyAt - at),
      0,
    )} ms
changes          ${changes.changes.length}: ${answered} answered, ${refused} refused, ${unanswered} cut
seen             ${seen} by the cluster, ${seenUnanswered} of them cut, ${withoutRow} before their record was written
                 ${told} without a row, of which their client was told
recorded         ${verdict.requests} requests, ${verdict.events} events; of ${unknown} no answer is known
lost             ${changes.missing(kills).length}
broken links     ${verdict.broken.length}
took             ${((Date.now() - started) / 60_000).toFixed(1)} min`);
  } finally {
    await changes.stop();
    const keepState = flags.keep || faults.length > 0;
    await stack.stop(keepState);
    if (proxy) await changes.removeLeftovers(proxy.url);
    proxy?.stop();
    if (keepState) console.log(`state            ${stack.home}`);
  }
  for (const fault of faults.slice(0, 30)) console.log(`FAULT ${fault}`);
  console.log(faults.length === 0 ? "PASS" : `FAIL: ${faults.length} faults; again with --seed ${seed}`);
  return faults.length === 0 ? 0 : 1;
}

async function killOnce(stack: SoakStack, killed: Killed): Promise<Kill> {
  const part = killed === "objects" ? "objects" : "edge";
  const pid = await stack.ready(undefined, part);
  const at = Date.now();
  process.kill(pid, "SIGKILL");
  await stack.ready(pid, part);
  return { moment: "changing", at, readyAt: Date.now() };
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(2);
  },
);
