/**
 * The churn run: is memory released? Runs rounds of many short sessions of one kind, each followed by a
 * pause. What workerd holds in a pause must not grow with the number of sessions so far. Each user also has a
 * session that stays open throughout, because the eviction of an object would hide a leak. In the end even
 * the objects must be released.
 *
 *   npm run soak:churn -- [--kinds short,refused,…] [--variants untouched,unrecorded,recorded] [--rounds 6]
 *                         [--sessions 300] [--users 20]
 *
 * RSS alone is not conclusive: V8 allocates until it has a reason to collect, and workerd's allocator does
 * not return memory. So the heap is measured after a collection, and its objects are counted by class.
 *
 * Exit code 0 if all of this holds, 1 if not, 2 if the run failed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import { Random } from "../../tools/random.ts";
import { slope } from "../../tools/statistics.ts";
import { ClientSession } from "./support/client-session.ts";
import { type HeapContent, WorkerHeaps } from "./support/inspector.ts";
import { type Person, tokenUser } from "./support/people.ts";
import type { SessionKind } from "./support/session-kinds.ts";
import type { SoakStack } from "./support/soak-stack.ts";
import { oneOf, residentMib, startVariant, VARIANTS, type Variant } from "./support/variants.ts";

const CONFIG: ConfigOverrides = {
  identities: [{ match: { emailDomain: "soak.example" }, groups: ["developers"] }],
  limits: { maxSessionsPerUser: 6 },
};
const KINDS: readonly SessionKind[] = [
  ...([
    "short",
    "echo",
    "output",
    "counter",
    "stream",
    "bulk",
    "terminal",
    "attach",
    "port-forward",
    "refused",
  ] as const),
];

const LIFETIME_MS = { least: 300, most: 1_500 };
/** Concurrent sessions per user. Below the limit, because some sessions are still ending. */
const AT_ONCE_PER_USER = 3;
/** A session's timers run for 5 s after its end. */
const REST_MS = 8_000;
/** workerd evicts an object 10 s after its last timer. */
const EVICTION_MS = 17_000;
/** Rounds in which code is compiled and caches fill. */
const WARM_UP_ROUNDS = 2;
/**
 * Heap that a session may leave: noise of V8's own bookkeeping, far less than one leaked object.
 */
const MAX_HEAP_BYTES_PER_SESSION = 100;
/** RSS fluctuates by tens of MiB. This finds only large leaks outside of V8's heap. */
const MAX_RSS_KIB_PER_SESSION = 32;
/** Classes with one instance per session: one per user in a pause, and none in the end. */
const OURS = ["LiveSession", "Relay", "Pipe", "LiveRecording", "AsciicastWriter"] as const;

const { values: flags } = parseArgs({
  options: {
    kinds: { type: "string", default: KINDS.join(",") },
    variants: { type: "string", default: VARIANTS.join(",") },
    rounds: { type: "string", default: "6" },
    sessions: { type: "string", default: "300" },
    users: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});

interface Rest {
  /** Number of sessions so far. */
  readonly sessions: number;
  readonly heapBytes: number;
  readonly instances: HeapContent["instances"];
  readonly rssMib: number;
}

class ChurnRun {
  readonly #stack: SoakStack;
  readonly #heaps: WorkerHeaps;
  readonly #users: readonly Person[];
  readonly #random: Random;
  readonly rests: Rest[] = [];
  sessions = 0;
  notOpened = 0;
  #permanent: ClientSession[] = [];

  constructor(stack: SoakStack, heaps: WorkerHeaps, users: readonly Person[], random: Random) {
    this.#stack = stack;
    this.#heaps = heaps;
    this.#users = users;
    this.#random = random;
  }

  /** Opens a session of each user that keeps the user's object in memory. */
  async begin(): Promise<void> {
    this.#permanent = this.#users.map((user) => new ClientSession("silent", user));
    const opened = await Promise.all(this.#permanent.map((session) => session.opened));
    if (!opened.every(Boolean)) throw new Error("the permanent sessions did not open");
  }

  /** @returns the heap after all clients have left */
  async end(): Promise<HeapContent> {
    const open = this.#permanent.filter(({ isOpen }) => isOpen);
    if (open.length < this.#permanent.length) throw new Error("permanent sessions were ended");
    for (const session of open) session.leave("close");
    await Promise.all(open.map(({ ended }) => ended));
    await delay(EVICTION_MS);
    return this.#heaps.content();
  }

  async round(kinds: readonly SessionKind[], sessions: number): Promise<void> {
    let left = sessions;
    const places = this.#users.flatMap((user) => Array.from({ length: AT_ONCE_PER_USER }, () => user));
    await Promise.all(
      places.map(async (user) => {
        while (left-- > 0) await this.#one(this.#random.pick(kinds), user);
      }),
    );
    await delay(REST_MS);
    const { bytes, instances } = await this.#heaps.content();
    const rssMib = residentMib(this.#stack.workerdPid());
    this.rests.push({ sessions: this.sessions, heapBytes: bytes, instances, rssMib });
  }

  async #one(kind: SessionKind, user: Person): Promise<void> {
    const session = new ClientSession(kind, user);
    this.sessions++;
    if (!(await session.opened)) {
      this.notOpened++;
      return;
    }
    const { least, most } = LIFETIME_MS;
    await Promise.race([session.ended, delay(this.#random.between(least, most))]);
    session.leave(session.endsWithInput ? "half-close" : this.#random.pick(["close", "terminate"]));
    await session.ended;
  }
}

async function churn(variant: Variant, kinds: readonly SessionKind[], random: Random): Promise<string[]> {
  const [rounds, sessions, users] = [flags.rounds, flags.sessions, flags.users].map(Number);
  if (!rounds || rounds <= WARM_UP_ROUNDS + 1 || !sessions || !users) {
    throw new Error(`--rounds N (more than ${WARM_UP_ROUNDS + 1}), --sessions N, --users N`);
  }
  const isOurs = variant !== "untouched";
  const stack = await startVariant(variant, CONFIG, { inspector: true });
  try {
    const heaps = await WorkerHeaps.connect(stack.facts.inspectorUrl);
    const people = Array.from({ length: users }, (_, index) => tokenUser(stack, `u${index}@soak.example`));
    const run = new ChurnRun(stack, heaps, people, random);
    await run.begin();
    for (let round = 0; round < rounds; round++) await run.round(kinds, sessions);
    const end = await run.end();
    heaps.close();

    const warm = run.rests.slice(WARM_UP_ROUNDS);
    const heapBytes = slope(warm.map((rest) => ({ x: rest.sessions, y: rest.heapBytes })));
    const rssKib = slope(warm.map((rest) => ({ x: rest.sessions, y: rest.rssMib * 1024 })));
    const count = ({ instances }: Pick<HeapContent, "instances">) =>
      OURS.map((name) => `${name} ${instances.get(name) ?? 0}`).join(", ");
    const last = run.rests.at(-1) ?? end;
    console.log(
      `${kinds.join("+").padEnd(14)} ${variant.padEnd(11)} ${run.sessions} sessions (${run.notOpened} not opened)
  heap, MiB  ${run.rests.map((rest) => (rest.heapBytes / 2 ** 20).toFixed(2)).join("  ")}: ${heapBytes.toFixed(0)} bytes a session
  RSS, MiB   ${run.rests.map(({ rssMib }) => rssMib.toFixed(0)).join("  ")}: ${rssKib.toFixed(1)} KiB a session
  at rest    ${count(last)}; in the end ${count(end)}`,
    );
    if (!isOurs) return [];
    const name = `${kinds.join("+")} ${variant}`;
    return [
      ...(heapBytes > MAX_HEAP_BYTES_PER_SESSION ? [`${name}: each session leaves ${heapBytes.toFixed(0)} bytes`] : []),
      ...(rssKib > MAX_RSS_KIB_PER_SESSION ? [`${name}: RSS grows by ${rssKib.toFixed(1)} KiB a session`] : []),
      ...OURS.flatMap((each) => {
        // One for each direction.
        const most = each === "Pipe" ? 2 * users : users;
        const [atRest, inTheEnd] = [last.instances.get(each) ?? 0, end.instances.get(each) ?? 0];
        return [
          ...(atRest > most ? [`${name}: ${atRest} ${each} at rest`] : []),
          ...(inTheEnd > 0 ? [`${name}: ${inTheEnd} ${each} in the end`] : []),
        ];
      }),
    ];
  } finally {
    await stack.stop(false);
  }
}

async function main(): Promise<number> {
  const seed = Number(flags.seed);
  const kinds = flags.kinds.split(",").map((kinds) => kinds.split("+").map((kind) => oneOf(KINDS, kind)));
  const variants = flags.variants.split(",").map((variant) => oneOf(VARIANTS, variant));
  console.log(`soak:churn, ${flags.rounds} rounds of ${flags.sessions} sessions of ${flags.users} users, seed ${seed}`);
  const faults: string[] = [];
  for (const each of kinds) {
    for (const variant of variants) faults.push(...(await churn(variant, each, new Random(seed))));
  }
  for (const fault of faults) console.log(`FAULT ${fault}`);
  console.log(faults.length === 0 ? "PASS" : `FAIL: ${faults.length} faults`);
  return faults.length === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(2);
  },
);
