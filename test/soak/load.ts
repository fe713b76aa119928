/**
 * The load run: many concurrent sessions of many users through one workerd. Administrators and clients end
 * them, and others take their place. Afterwards the audit log must be complete, no session may be open, and
 * memory must not have grown.
 *
 *   npm run soak:load -- [--sessions 200] [--users 40] [--minutes 5] [--variant recorded]
 *                        [--transport tcp|websocket] [--seed N] [--keep]
 *
 * Variants: `recorded`, `unrecorded`, and `untouched`, a Worker that only relays. Its growth under the same
 * load is that of workerd itself. It is not checked.
 *
 * Exit code 0 if all of this holds, 1 if not, 2 if the run failed.
 */
import { cpus } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { UPSTREAM_TRANSPORTS } from "../../contract/upstream.ts";
import { Random } from "../../tools/random.ts";
import { percentile, slope } from "../../tools/statistics.ts";
import {
  checkSessions,
  compareLoggedHashes,
  countOpen,
  leakedLeases,
  readAuditLog,
  undelivered,
  unrecordedInCluster,
} from "./support/audit-log.ts";
import { ClientSession } from "./support/client-session.ts";
import { type Person, tokenUser } from "./support/people.ts";
import type { SessionKind } from "./support/session-kinds.ts";
import type { SoakStack } from "./support/soak-stack.ts";
import { spread } from "./support/statistics.ts";
import { oneOf, residentMib, startVariant, VARIANTS } from "./support/variants.ts";

const MAX_SESSIONS_PER_USER = 6;
const CONFIG = {
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin" as const] },
    { match: { emailDomain: "soak.example" }, groups: ["developers"] },
  ],
  limits: { maxSessionsPerUser: MAX_SESSIONS_PER_USER },
};

/** The mix of sessions, in percent. */
const MIX: readonly (readonly [SessionKind, number])[] = [
  ["terminal", 25],
  ["echo", 25],
  ["port-forward", 18],
  ["stream", 15],
  ["silent", 8],
  ["attach", 4],
  ["short", 3],
  ["bulk", 2],
];
const SESSION_MS = { least: 10_000, most: 90_000 };
const RAMP_MS = 20_000;
const SAMPLE_MS = 15_000;
const KILL_SESSION_EVERY_MS = 3_000;
const KILL_USER_EVERY_MS = 20_000;
const LIST_EVERY_MS = 2_000;
const CLOSING_PATIENCE_MS = 60_000;
/**
 * Growth over the second half. In the first minutes SQLite's caches fill (2 MiB per user). workerd's
 * allocator does not return memory, so a higher peak stays. `soak:churn` shows what is really kept.
 */
const MAX_GROWTH = 0.2;

const { values: flags } = parseArgs({
  options: {
    sessions: { type: "string", default: "200" },
    users: { type: "string", default: "40" },
    minutes: { type: "string", default: "5" },
    variant: { type: "string", default: "recorded" },
    transport: { type: "string", default: "tcp" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    keep: { type: "boolean", default: false },
  },
});

interface MemorySample {
  readonly at: number;
  readonly mib: number;
}

class LoadRun {
  readonly #stack: SoakStack;
  readonly #random: Random;
  readonly #users: readonly Person[];
  readonly #over = new AbortController();
  readonly clients: ClientSession[] = [];
  readonly faults: string[] = [];
  readonly memory: MemorySample[] = [];
  readonly listMs: number[] = [];
  readonly liveListed: number[] = [];
  readonly killMs: number[] = [];
  readonly killUserMs: number[] = [];
  readonly goneMs: number[] = [];
  #killed = 0;

  constructor(stack: SoakStack, random: Random, users: readonly Person[]) {
    this.#stack = stack;
    this.#random = random;
    this.#users = users;
  }

  get killed(): number {
    return this.#killed;
  }

  /** @param hasAdmin whether there is an admin API to list and end sessions with */
  async run(sessions: number, minutes: number, hasAdmin: boolean): Promise<void> {
    const places = Array.from({ length: sessions }, (_, place) => {
      const user = this.#users[place % this.#users.length];
      if (!user) throw new Error("no users");
      return this.#keepPlace(user, this.#random.fork(), (RAMP_MS * place) / sessions);
    });
    await delay(RAMP_MS);
    await this.#until((session) => session.isOpen, sessions * 0.95);
    console.log(`  ${this.#open().length} sessions of ${this.#users.length} users are open`);
    const helpers = [this.#every(SAMPLE_MS, () => this.#sampleMemory())];
    if (hasAdmin) {
      helpers.push(
        this.#every(LIST_EVERY_MS, () => this.#list()),
        this.#every(KILL_SESSION_EVERY_MS, () => this.#killSession()),
        this.#every(KILL_USER_EVERY_MS, () => this.#killUser()),
      );
    }
    for (let minute = 1; minute <= minutes; minute++) {
      await delay(60_000);
      const lately = this.memory.slice(-60_000 / SAMPLE_MS).map(({ mib }) => mib.toFixed(0));
      console.log(`  minute ${minute}: ${this.#open().length} open, workerd ${lately.join(", ")} MiB`);
    }
    this.#over.abort();
    await Promise.all([...helpers, ...places]);
  }

  /** Asks every user's object for live sessions, and then reaches every user's limit again. */
  async checkNothingLeft(): Promise<void> {
    await this.#closedInRecord("after the load");
    for (const { email } of this.#users) {
      const { body } = await this.#admin("DELETE", `users/${encodeURIComponent(email)}/sessions`);
      const { ended } = body as { ended?: unknown[] };
      if (ended?.length !== 0) this.faults.push(`the object of ${email} still had ${JSON.stringify(ended)}`);
    }
    for (const user of this.#users) {
      const taken = Array.from({ length: MAX_SESSIONS_PER_USER }, () => this.#openOne("silent", user));
      const opened = (await Promise.all(taken.map((session) => session.opened))).filter(Boolean).length;
      if (opened < MAX_SESSIONS_PER_USER) this.faults.push(`leases: ${user.email} got ${opened} places`);
      const tooMany = this.#openOne("silent", user);
      await tooMany.opened;
      if (tooMany.refusal?.status !== 429) this.faults.push(`${user.email} could open one session too many`);
      for (const session of taken) session.leave("terminate");
      await Promise.all(taken.map(({ ended }) => ended));
    }
    await this.#closedInRecord("after all places were taken again");
  }

  memoryReport() {
    const line = (samples: readonly MemorySample[]) =>
      slope(samples.map(({ at, mib }) => ({ x: at / 60_000, y: mib })));
    const half = this.memory.length / 2;
    const [first, second] = [this.memory.slice(0, half), this.memory.slice(half)];
    const sizes = second.map(({ mib }) => mib);
    const minutes = ((second.at(-1)?.at ?? 0) - (second[0]?.at ?? 0)) / 60_000;
    return {
      ...{ min: Math.min(...sizes), median: percentile(sizes, 0.5), max: Math.max(...sizes) },
      firstMibPerMinute: line(first),
      mibPerMinute: line(second),
      growth: (line(second) * minutes) / percentile(sizes, 0.5),
    };
  }

  #openOne(kind: SessionKind, user: Person): ClientSession {
    const session = new ClientSession(kind, user, this.#random.between(0, 9));
    this.clients.push(session);
    return session;
  }

  #open(): ClientSession[] {
    return this.clients.filter(({ isOpen }) => isOpen);
  }

  /** Keeps one session open: when it ends, the next begins. */
  async #keepPlace(user: Person, random: Random, startMs: number): Promise<void> {
    const { signal } = this.#over;
    await delay(startMs);
    while (!signal.aborted) {
      const session = this.#openOne(pickKind(random), user);
      if (await session.opened) {
        const lifetime = random.between(SESSION_MS.least, SESSION_MS.most);
        await Promise.race([session.ended, delay(lifetime, undefined, { signal }).catch(() => {})]);
        session.leave(session.endsWithInput && random.chance(0.3) ? "half-close" : random.pick(["close", "terminate"]));
        await session.ended;
      }
      await delay(random.between(0, 300));
    }
  }

  async #every(ms: number, work: () => void | Promise<void>): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      try {
        await work();
      } catch (error) {
        this.faults.push(`admin: ${String(error)}`);
      }
      await delay(ms, undefined, { signal }).catch(() => {});
    }
  }

  #sampleMemory(): void {
    this.memory.push({ at: Date.now(), mib: residentMib(this.#stack.workerdPid()) });
  }

  async #list(): Promise<void> {
    const { body, ms } = await this.#admin("GET", "sessions?state=live&limit=500");
    this.listMs.push(ms);
    this.liveListed.push((body as { items: unknown[] }).items.length);
  }

  async #killSession(): Promise<void> {
    const open = this.#open().filter((each) => !each.departure && !each.termination && !each.isFinite);
    const session = this.#random.pick(open);
    session.termination = "asked";
    const asked = performance.now();
    void session.ended.then(() => this.goneMs.push(performance.now() - asked));
    const { body, ms } = await this.#admin("DELETE", `sessions/${session.id}?reason=soak`);
    this.killMs.push(ms);
    this.#confirm((body as { ended?: string[] }).ended ?? []);
  }

  async #killUser(): Promise<void> {
    const { email } = this.#random.pick(this.#users);
    for (const session of this.#open()) if (session.email === email) session.termination ??= "asked";
    const { body, ms } = await this.#admin("DELETE", `users/${encodeURIComponent(email)}/sessions?reason=soak`);
    this.killUserMs.push(ms);
    this.#confirm((body as { ended?: string[] }).ended ?? []);
  }

  /** Remembers which sessions the answer reports as ended, to check them in the audit log. */
  #confirm(ended: readonly string[]): void {
    this.#killed += ended.length;
    for (const client of this.clients) {
      if (client.id !== undefined && ended.includes(client.id)) client.termination = "confirmed";
    }
  }

  async #admin(method: "GET" | "DELETE", path: string): Promise<{ body: unknown; ms: number }> {
    const began = performance.now();
    const url = `${this.#stack.facts.personas.admin.url}/-/admin/${path}`;
    const response = await fetch(url, { method, signal: AbortSignal.timeout(30_000) });
    const body: unknown = await response.json();
    // 404: it had already ended.
    if (!response.ok && response.status !== 404) throw new Error(`${method} ${path}: ${response.status}`);
    return { body, ms: performance.now() - began };
  }

  async #until(fits: (session: ClientSession) => boolean, count: number): Promise<void> {
    const deadline = Date.now() + CLOSING_PATIENCE_MS;
    while (this.clients.filter(fits).length < count && Date.now() < deadline) await delay(100);
  }

  async #closedInRecord(when: string): Promise<void> {
    const { d1Path, logPath } = this.#stack.facts;
    const deadline = Date.now() + CLOSING_PATIENCE_MS;
    while (countOpen(d1Path) > 0 && Date.now() < deadline) await delay(250);
    const open = countOpen(d1Path);
    if (open > 0) this.faults.push(`${open} sessions were open in D1 ${CLOSING_PATIENCE_MS / 1000} s ${when}`);
    // What is still missing after that is reported as lost.
    for (let isDelivered = false; !isDelivered && Date.now() < deadline; await delay(250)) {
      const auditLog = readAuditLog(d1Path);
      const { different } = compareLoggedHashes(logPath, auditLog);
      isDelivered = undelivered(this.clients, auditLog).length + different.length === 0;
    }
  }
}

function pickKind(random: Random): SessionKind {
  let place = random.between(
    1,
    MIX.reduce((sum, [, parts]) => sum + parts, 0),
  );
  for (const [kind, parts] of MIX) {
    place -= parts;
    if (place <= 0) return kind;
  }
  return "silent";
}

async function main(): Promise<number> {
  const [sessions, users, minutes, seed] = [flags.sessions, flags.users, flags.minutes, flags.seed].map(Number);
  if (
    !sessions ||
    !users ||
    !(minutes && minutes >= 3) ||
    seed === undefined ||
    sessions > users * (MAX_SESSIONS_PER_USER - 1)
  ) {
    throw new Error(
      `--sessions N, --users N (at most ${MAX_SESSIONS_PER_USER - 1} sessions each), --minutes N (at least 3)`,
    );
  }
  const variant = oneOf(VARIANTS, flags.variant);
  const transport = oneOf(UPSTREAM_TRANSPORTS, flags.transport);
  console.log(
    `soak:load, ${variant}, ${transport} to the cluster, ${sessions} sessions of ${users} users for ${minutes} min on ${cpus().length} cores, seed ${seed}`,
  );
  const stack = await startVariant(variant, CONFIG, { transport });
  const people = Array.from({ length: users }, (_, index) => tokenUser(stack, `u${index}@soak.example`));
  const run = new LoadRun(stack, new Random(seed), people);
  let faults = ["the run did not finish"];
  try {
    const pid = stack.workerdPid();
    await run.run(sessions, minutes, variant !== "untouched");
    if (variant === "untouched") {
      faults = [];
      console.log(memoryWords(run.memoryReport()));
      return 0;
    }
    const loaded = run.clients.length;
    await run.checkNothingLeft();

    const auditLog = readAuditLog(stack.facts.d1Path);
    const findings = checkSessions(run.clients, auditLog, []);
    const { logged, different } = compareLoggedHashes(stack.facts.logPath, auditLog);
    const unrecorded = unrecordedInCluster(stack.facts.clusterAuditLog, auditLog);
    const leases = leakedLeases(run.clients, MAX_SESSIONS_PER_USER);
    const memory = run.memoryReport();
    const crashed = stack.workerdPid() !== pid;
    faults = [
      ...run.faults,
      ...findings.faults,
      ...leases.map((lease) => `limit: ${lease}`),
      ...unrecorded.map((id) => `session ${id} reached the cluster but is not in the audit log`),
      ...different.map((id) => `the hash that was logged of session ${id} is not the one in D1`),
      ...(crashed ? ["workerd stopped during the run"] : []),
      ...(memory.growth > MAX_GROWTH
        ? [`memory grew by ${(memory.growth * 100).toFixed(0)} % in the second half`]
        : []),
    ];
    const opened = run.clients.filter(({ openedAt }) => openedAt !== undefined);
    const refused = Object.entries(Object.groupBy(run.clients.slice(0, loaded), ({ refusal }) => refusal?.status ?? 0));
    const echoes = (kind: SessionKind) =>
      run.clients.filter((each) => each.kind === kind).flatMap(({ echoMs }) => echoMs);
    const mib = opened.reduce((sum, { received, sent }) => sum + received.bytes + sent.bytes, 0) / 2 ** 20;
    console.log(`
sessions         ${run.clients.length} attempts, ${opened.length} opened; refused ${
      refused
        .filter(([status]) => status !== "0")
        .map(([status, all]) => `${status}: ${all?.length}`)
        .join(", ") || "none"
    }
live at once     ${run.liveListed.length ? `min ${Math.min(...run.liveListed)}, median ${percentile(run.liveListed, 0.5)}, max ${Math.max(...run.liveListed)} as the admin API lists` : "none"}
carried          ${mib.toFixed(0)} MiB, ${opened.reduce((sum, { received, sent }) => sum + received.messages + sent.messages, 0)} messages
ended            ${run.killed} by administrators, ${opened.filter(({ departure }) => departure === "terminate").length} by client deaths
outcomes         ${[...findings.outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(", ")}
recorded         ${auditLog.sessions.size} sessions, ${auditLog.verdict.events} events
lost             ${findings.lost}
left open        ${findings.leftOpen}
broken links     ${auditLog.verdict.broken.length}
unrecorded       ${unrecorded.length} of those the cluster heard of
leaked leases    ${leases.length}
log              ${logged} ends with a hash, ${different.length} of them not the one in D1
${memoryWords(memory)}
keystroke echo   ${spread(echoes("echo"))} ms
port-forward     ${spread(echoes("port-forward"))} ms a round trip
list             ${spread(run.listMs)} ms
kill, session    ${spread(run.killMs)} ms; the client was hung up on after ${spread(run.goneMs)} ms
kill, user       ${spread(run.killUserMs)} ms`);
  } finally {
    for (const client of run.clients) client.abandon();
    const keepState = flags.keep || faults.length > 0;
    await stack.stop(keepState);
    if (keepState) console.log(`state            ${stack.home}`);
  }
  for (const fault of faults.slice(0, 30)) console.log(`FAULT ${fault}`);
  console.log(faults.length === 0 ? "PASS" : `FAIL: ${faults.length} faults; again with --seed ${seed}`);
  return faults.length === 0 ? 0 : 1;
}

function memoryWords({
  min,
  median,
  max,
  firstMibPerMinute,
  mibPerMinute,
  growth,
}: ReturnType<LoadRun["memoryReport"]>) {
  const sizes = `min ${min.toFixed(0)}, median ${median.toFixed(0)}, max ${max.toFixed(0)} MiB in the second half`;
  const lines = `${firstMibPerMinute.toFixed(1)} MiB/min in the first half, ${mibPerMinute.toFixed(1)} in the second`;
  return `workerd memory   ${sizes}; ${lines} (${(growth * 100).toFixed(1)} %)`;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(2);
  },
);
