/**
 * The kill run: kills workerd with SIGKILL at bad moments, over and over, and then everything. Afterwards the
 * audit log must have every session that a client could open, with exactly one correct end, without any
 * request.
 *
 * Every change that was answered must have its row, and only one.
 *
 * The same holds for recordings: one that a kill has cut must be readable to its last second, and say that it
 * was cut.
 *
 *   npm run soak:kill -- [--kills 50] [--transport tcp|websocket] [--seed N] [--keep]
 *
 * Exit code 0 if nothing was lost and nothing is left open, 1 if not, 2 if the run failed.
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { UPSTREAM_TRANSPORTS } from "../../contract/upstream.ts";
import { PERSONAS as PERSONA_EMAILS, type PersonaName } from "../../dev/access/personas.ts";
import type { ConfigOverrides } from "../../dev/stack/index.ts";
import { Random } from "../../tools/random.ts";
import {
  checkSessions,
  compareLoggedHashes,
  countOpen,
  type Kill,
  leakedLeases,
  readAuditLog,
  undelivered,
  unrecordedInCluster,
} from "./support/audit-log.ts";
import { ChangeLoops } from "./support/change-loops.ts";
import { ClientSession } from "./support/client-session.ts";
import { KubectlLoops } from "./support/kubectl-loops.ts";
import { type Person, persona, tokenUser } from "./support/people.ts";
import { checkRecordings, readCast } from "./support/recordings.ts";
import { isRecorded, type SessionKind } from "./support/session-kinds.ts";
import { SoakStack } from "./support/soak-stack.ts";
import { spread } from "./support/statistics.ts";
import { oneOf } from "./support/variants.ts";

const MAX_SESSIONS_PER_USER = 6;
const CONFIG: ConfigOverrides = {
  identities: [
    { match: { email: "admin@example.com" }, groups: ["developers"], roles: ["admin"] },
    { match: { emailDomain: "example.com" }, groups: ["developers"] },
    { match: { emailDomain: "example.net" }, groups: ["developers"] },
    { match: { emailDomain: "soak.example" }, groups: ["developers"] },
  ],
  limits: { maxSessionsPerUser: MAX_SESSIONS_PER_USER },
  audit: { requests: { maxChangesPerMinute: 100_000 } },
};

const PERSONAS: readonly PersonaName[] = ["alice", "bob", "admin", "mallory"];
/** Two below the limit, for kubectl and for a session that is still ending. */
const KEPT_PER_PERSONA = 4;
const LONG_KINDS: readonly SessionKind[] = [
  ...(["output", "counter", "counter", "bulk", "silent", "echo", "terminal", "port-forward", "attach"] as const),
];
const MOMENTS = ["opening", "streaming", "closing", "flushing", "recovering"] as const;
type Moment = (typeof MOMENTS)[number];
const FINAL_PATIENCE_MS = 90_000;

const { values: flags } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    transport: { type: "string", default: "tcp" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    keep: { type: "boolean", default: false },
  },
});

class KillRun {
  readonly #stack: SoakStack;
  readonly #random: Random;
  readonly #changes: ChangeLoops;
  readonly clients: ClientSession[] = [];
  readonly kills: Kill[] = [];
  readonly faults: string[] = [];
  /** How often workerd did not restart by itself. */
  restartedByHand = 0;
  /** Recordings of cut sessions that were read as soon as workerd had restarted. */
  castsReadAtOnce = 0;
  #keeping = true;
  readonly #keepers: Promise<void>[] = [];
  #strangers = 0;

  constructor(stack: SoakStack, random: Random, changes: ChangeLoops) {
    this.#stack = stack;
    this.#changes = changes;
    this.#random = random;
  }

  open(kind: SessionKind, person: Person): ClientSession {
    const session = new ClientSession(kind, person, this.#random.between(0, 9));
    this.clients.push(session);
    return session;
  }

  /** Keeps sessions of the personas open: when one ends, the next is opened. */
  keep(): void {
    for (const name of PERSONAS) {
      for (let place = 0; place < KEPT_PER_PERSONA; place++) {
        this.#keepers.push(this.#keepOne(persona(this.#stack, name), this.#random.fork()));
      }
    }
  }

  async #keepOne(person: Person, random: Random): Promise<void> {
    while (this.#keeping) {
      const session = this.open(random.chance(0.2) ? "short" : random.pick(LONG_KINDS), person);
      if (!(await session.opened)) {
        await delay(random.between(50, 250));
        continue;
      }
      await Promise.race([session.ended, delay(random.between(500, 15_000))]);
      if (!this.#keeping) return;
      session.leave(session.endsWithInput ? "half-close" : random.pick(["close", "terminate"]));
      await session.ended;
      // A session that has ended here may not have ended there yet, so one slot of the limit stays free.
      await delay(random.between(0, 200));
    }
  }

  /** Stops opening further sessions. */
  async stopKeeping(): Promise<void> {
    this.#keeping = false;
    await delay(500);
  }

  /** Sessions of users who connect only once, so that only an alarm can close them. */
  #stranger(): Person {
    this.#strangers++;
    return tokenUser(this.#stack, `u${this.#strangers}@soak.example`);
  }

  #openStrangers(count: number, kinds: readonly SessionKind[]): ClientSession[] {
    const people = [this.#stranger(), this.#stranger(), this.#stranger()];
    return Array.from({ length: count }, () => this.open(this.#random.pick(kinds), this.#random.pick(people)));
  }

  async killAt(moment: Moment): Promise<void> {
    const random = this.#random;
    const pid = await this.#stack.ready();
    switch (moment) {
      case "opening":
        this.#openStrangers(6, [...LONG_KINDS, "short"]);
        await delay(random.between(0, 40));
        break;
      case "streaming":
        await Promise.all(this.#openStrangers(5, LONG_KINDS).map(({ opened }) => opened));
        await delay(random.between(100, 7_000));
        break;
      case "closing": {
        const sessions = this.#openStrangers(6, ["echo", "output", "port-forward", "echo"]);
        await Promise.all(sessions.map(({ opened }) => opened));
        await delay(random.between(100, 600));
        for (const session of sessions) {
          session.leave(session.endsWithInput ? "half-close" : random.pick(["close", "terminate"]));
        }
        await delay(random.between(0, 25));
        break;
      }
      case "flushing": {
        const sessions = this.#openStrangers(6, ["short"]);
        await Promise.race(sessions.map(({ ended }) => ended));
        await delay(random.between(0, 10));
        break;
      }
      case "recovering":
        await Promise.all(this.#openStrangers(4, LONG_KINDS).map(({ opened }) => opened));
        await this.#kill("streaming", pid);
        // The next kill comes while the objects restart. Not while workerd does, because Miniflare gives up
        // if it dies before it has started.
        await this.#kill("recovering", await this.#stack.ready(pid), random.between(0, 300));
        await this.#backAgain();
        return;
    }
    await this.#kill(moment, pid);
    await this.#backAgain();
  }

  async #kill(moment: string, pid: number, afterMs = 0): Promise<void> {
    if (afterMs > 0) await delay(afterMs);
    this.kills.push({ moment, at: Date.now(), readyAt: Number.NaN });
    process.kill(pid, "SIGKILL");
  }

  async #backAgain(): Promise<void> {
    const last = this.kills.at(-1);
    await delay(50);
    try {
      await this.#stack.ready();
    } catch (error) {
      console.log(`  ${error instanceof Error ? error.message : String(error)}: the whole stack is started again`);
      await this.#stack.killAll();
      await this.#stack.startAgain();
      this.restartedByHand++;
    }
    for (const kill of this.kills) if (Number.isNaN(kill.readyAt)) kill.readyAt = Date.now();
    if (!last) return;
    console.log(`  kill ${this.kills.length} (${last.moment}): back after ${last.readyAt - last.at} ms`);
    await this.#readCutCasts(last);
  }

  /**
   * Checks that the recording of a cut session is available and complete as soon as workerd answers. Skips
   * those of users who connect once, because a request would wake their objects.
   */
  async #readCutCasts({ at }: Kill): Promise<void> {
    const mine = new Set<string>(PERSONAS.map((name) => PERSONA_EMAILS[name].email));
    const cut = this.clients.filter((client) => {
      const { openedAt = at, endedAt = at } = client;
      const wasCut = openedAt < at && endedAt >= at && !client.departure && !client.isFinite;
      return wasCut && isRecorded(client.kind) && mine.has(client.email);
    });
    for (const { kind, email, id = "" } of cut) {
      try {
        const { ending } = await readCast(this.#stack.facts.personas.admin.url, id);
        if (ending !== "interrupted") this.faults.push(`recording: ${kind} of ${email} ${id}: ends with ${ending}`);
        this.castsReadAtOnce++;
      } catch (error) {
        this.faults.push(`recording: ${kind} of ${email} ${id}, asked at once: ${String(error)}`);
      }
    }
  }

  /**
   * Checks that a user who had reached the limit when workerd died can open as many sessions again, and not
   * more.
   */
  async checkLeases(person: Person): Promise<void> {
    const fill = () => Array.from({ length: MAX_SESSIONS_PER_USER }, () => this.open("silent", person));
    const before = fill();
    await this.#expectOpen(before, `${person.email} before the kill`);
    await this.#kill("limit reached", await this.#stack.ready());
    await this.#backAgain();
    const after = fill();
    await this.#expectOpen(after, `${person.email} after the kill`);
    const tooMany = this.open("silent", person);
    await tooMany.opened;
    if (tooMany.refusal?.status !== 429) this.faults.push(`one session too many was not refused: ${person.email}`);
  }

  async #expectOpen(sessions: readonly ClientSession[], moment: string): Promise<void> {
    const opened = await Promise.all(sessions.map((session) => session.opened));
    const count = opened.filter(Boolean).length;
    console.log(`  limit: ${moment}: ${count} of ${sessions.length} opened`);
    if (count < sessions.length) {
      const why = sessions.find(({ refusal }) => refusal)?.refusal;
      this.faults.push(`limit: ${moment}: only ${count} of ${sessions.length} opened (${why?.status} ${why?.body})`);
    }
  }

  /** Kills Node and workerd at once, as if the machine had failed. */
  async killEverything(): Promise<void> {
    this.#openStrangers(6, LONG_KINDS);
    await delay(this.#random.between(20, 3_000));
    this.kills.push({ moment: "everything", at: Date.now(), readyAt: Number.NaN });
    await this.#stack.killAll();
    await this.#stack.startAgain();
    await this.#backAgain();
  }

  /**
   * Kills a last time, after which no client connects.
   *
   * @returns how long it took to close all sessions and to deliver all changes, ms
   */
  async killAndWait(): Promise<number | undefined> {
    const pid = await this.#stack.ready();
    await Promise.all(this.#openStrangers(10, LONG_KINDS).map(({ opened }) => opened));
    await this.stopKeeping();
    const open = this.clients.filter(({ isOpen }) => isOpen).length;
    const killedAt = Date.now();
    await this.#kill("last", pid);
    await this.#stack.respawned(pid);
    for (const kill of this.kills) if (Number.isNaN(kill.readyAt)) kill.readyAt = Date.now();
    console.log(`  last kill: ${open} sessions were open; no client connects from here on`);
    while (Date.now() - killedAt < FINAL_PATIENCE_MS) {
      await delay(250);
      const { d1Path } = this.#stack.facts;
      if (countOpen(d1Path) > 0 || this.#changes.missing(this.kills).length > 0) continue;
      if (undelivered(this.clients, readAuditLog(d1Path)).length === 0) return Date.now() - killedAt;
    }
    return undefined;
  }
}

async function main(): Promise<number> {
  const seed = Number(flags.seed);
  const wanted = Number(flags.kills);
  if (!Number.isSafeInteger(seed) || !(wanted >= 1 && wanted <= 1_000)) throw new Error("--kills 1..1000, --seed N");
  const transport = oneOf(UPSTREAM_TRANSPORTS, flags.transport);
  const random = new Random(seed);
  const started = Date.now();
  console.log(`soak:kill, ${wanted} kills, ${transport} to the cluster, seed ${seed}`);
  const stack = await SoakStack.start(CONFIG, { transport });
  let faults = ["the run did not finish"];
  const kubectl = new KubectlLoops(stack);
  const changes = new ChangeLoops(stack, {
    run: String(seed),
    clusterAuditLog: stack.facts.clusterAuditLog,
    killed: "all",
  });
  const run = new KillRun(stack, random, changes);
  try {
    run.keep();
    kubectl.start(random.fork());
    const changing = [1, 2, 3].map((number) => tokenUser(stack, `changes-${number}@soak.example`));
    changes.start(changing, 1, 60, random.fork());
    while (run.kills.length < wanted) {
      const moment = MOMENTS[random.between(0, MOMENTS.length - 1)] ?? "streaming";
      await run.killAt(moment);
      await delay(random.between(300, 1_500));
    }
    console.log("the session limit after a kill:");
    await run.checkLeases(tokenUser(stack, "full@soak.example"));
    console.log("killing everything, including Node:");
    for (let times = 0; times < 3; times++) await run.killEverything();
    await delay(1_000);
    console.log("the last kill:");
    await Promise.all([kubectl.stop(), changes.stop()]);
    const closedInMs = await run.killAndWait();

    const auditLog = readAuditLog(stack.facts.d1Path);
    const findings = checkSessions(run.clients, auditLog, run.kills);
    const { logged, different } = compareLoggedHashes(stack.facts.logPath, auditLog);
    const unrecorded = unrecordedInCluster(stack.facts.clusterAuditLog, auditLog);
    const leases = leakedLeases(run.clients, MAX_SESSIONS_PER_USER);
    const casts = await checkRecordings(stack.facts.personas.admin.url, run.clients, auditLog, run.kills);
    faults = [
      ...run.faults,
      ...findings.faults,
      ...casts.faults,
      ...kubectl.faults(auditLog),
      ...changes.faults(run.kills),
      ...leases.map((lease) => `limit: ${lease}`),
      ...unrecorded.map((id) => `session ${id} reached the cluster but is not in the audit log`),
      ...(closedInMs === undefined
        ? [
            `not every session was closed, and every change delivered, ${FINAL_PATIENCE_MS / 1000} s after the last kill`,
          ]
        : []),
    ];
    const opened = run.clients.filter(({ openedAt }) => openedAt !== undefined).length;
    const moments = Object.entries(Object.groupBy(run.kills, ({ moment }) => moment));
    const backMs = run.kills.map(({ at, readyAt }) => readyAt - at);
    const { answered, refused, unanswered, unknown, seen, withoutRow } = changes.counts(run.kills);
    const shortKubectl = kubectl.runs.filter(({ code, wantedCode }) => code === wantedCode).length;
    console.log(`
kills            ${run.kills.length}: ${moments.map(([moment, all]) => `${moment} ${all?.length}`).join(", ")}
back after       ${spread(backMs, 0)} ms; ${run.restartedByHand} times only after a restart of the whole stack
attempts         ${run.clients.length} by WebSocket clients, ${opened} opened; kubectl: ${kubectl.runs.length} execs (${shortKubectl} completed), ${kubectl.forwards} port-forwards (${kubectl.forwardedEchoes} echoes)
changes          ${changes.changes.length}: ${answered} answered, ${refused} refused, ${unanswered} cut; ${unknown} rows say that no answer is known
                 ${seen} seen by the cluster, ${withoutRow} of them cut before their record was written
recorded         ${auditLog.sessions.size} sessions, ${auditLog.verdict.events} events
outcomes         ${[...findings.outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(", ")}
lost             ${findings.lost}
left open        ${findings.leftOpen}
broken links     ${auditLog.verdict.broken.length}
unrecorded       ${unrecorded.length} of those that reached the cluster
leaked slots     ${leases.length}
closed           ${spread(findings.closingMs.map((ms) => ms / 1000))} s of running after the kill that cut them (by alarm where no client connected again)
                 the last ones ${closedInMs === undefined ? "NOT" : `${(closedInMs / 1000).toFixed(1)} s`} after the last kill, without any client connecting
last counts      ${spread(findings.stalenessMs.map((ms) => ms / 1000))} s old
recordings       ${casts.read} read, ${(casts.bytes / 2 ** 20).toFixed(0)} MiB: ${[...casts.states].map(([state, count]) => `${state} ${count}`).join(", ")}; ${casts.notUploaded} of them not in the bucket yet
                 ${casts.interrupted} cut by a kill, all finalised but ${casts.faults.length}; ${run.castsReadAtOnce} of these read as soon as workerd was back
output lost      ${spread(casts.lostMs, 0)} ms of what the client had got, over 1 s in ${casts.lostMs.filter((ms) => ms > 1_000).length}
                 last recorded line ${spread(casts.beforeKillMs, 0)} ms before the kill; lines were late by up to ${spread(casts.lagMs, 0)} ms
log              ${logged} ends with a hash, ${different.length} of them not the one in D1
took             ${((Date.now() - started) / 60_000).toFixed(1)} min`);
  } finally {
    await run.stopKeeping();
    await Promise.all([kubectl.stop(), changes.stop()]);
    for (const client of run.clients) client.abandon();
    const keepState = flags.keep || faults.length > 0;
    await stack.stop(keepState);
    if (keepState) console.log(`state            ${stack.home}`);
  }
  for (const fault of faults.slice(0, 30)) console.log(`FAULT ${fault}`);
  console.log(faults.length === 0 ? "PASS" : `FAIL: ${faults.length} faults; again with --seed ${seed}`);
  return faults.length === 0 ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error);
    process.exit(2);
  },
);
