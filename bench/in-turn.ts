/**
 * `node bench/in-turn.ts BASE OTHER ...`: what an API request, an exec or a keystroke pays at each OTHER more
 * than at BASE.
 *
 * All are asked in turn, request by request, so that a machine whose speed drifts cannot tell them apart. For
 * differences of one percent, which the scenarios of `npm run bench` are too coarse for.
 */
import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { WebSocket } from "ws";
import { Cleanups } from "../dev/stack/cleanups.ts";
import { onStopRequest } from "../dev/stack/signals.ts";
import { median, percentile } from "../tools/statistics.ts";
import { startEnvironment } from "./environment.ts";
import { STALLING_MS, typeInto } from "./scenarios/echo.ts";
import { hangUp, openExec } from "./scenarios/exec-socket.ts";
import { openStalled } from "./scenarios/stalled.ts";
import { medianInterval, ratioInterval, rotate } from "./statistics.ts";
import { startWorker, WORKERS } from "./variants.ts";

const WORKER_NAMES = WORKERS.map(({ name }) => name);
const KEYS_OF_A_TURN = 50;
const USAGE = `Usage: node bench/in-turn.ts [options] BASE OTHER ...

Sends the same request to several addresses in turn, and compares the times of each turn. An address is that of a
running stack, e.g. of another commit, started with "npm start -- --upstream URL" in front of the same cluster; or one
of ${WORKER_NAMES.join(", ")}, which is started for this.
The same name twice starts two.

  --path PATH    what is read. Default: /api/v1/namespaces/demo/pods/shell
  --change       PATCH a label instead, of the ConfigMap "in-turn" of namespace demo, which is made first. Raise
                 "maxChangesPerMinute" and "maxChangesPerDay" of running stacks
  --exec         run "true" in the pod "shell" of namespace demo instead, from the request to the end of its connection
  --echo         type into "cat" there instead, ${KEYS_OF_A_TURN} keys a turn, in sessions that stay open
  --beside-stalled
                 the same, and at the last of the addresses a reader of the same user has stalled
  --turns N      Default: 5000; of keystrokes 200. As many more as a tenth of them come first and do not count
  --kubeconfig F the cluster behind what is started. Default: the embedded one
  --help         this text
`;

interface Target {
  readonly name: string;
  readonly address: string;
  readonly agent: Agent;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}

interface Measure {
  /** @returns the times of a turn, ms */
  readonly take: (target: Target) => Promise<number[]>;
  readonly end?: () => Promise<unknown>;
}

const CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps";
const CONFIG_MAP = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "in-turn" } };
const STOP_REQUEST = new AbortController();
const SETTING = { namespace: "demo", pod: "shell", signal: STOP_REQUEST.signal };

process.exit(await main());

/** @returns the exit code */
async function main(): Promise<number> {
  const options = {
    path: { type: "string", default: "/api/v1/namespaces/demo/pods/shell" },
    change: { type: "boolean", default: false },
    exec: { type: "boolean", default: false },
    echo: { type: "boolean", default: false },
    "beside-stalled": { type: "boolean", default: false },
    turns: { type: "string" },
    kubeconfig: { type: "string" },
    help: { type: "boolean", default: false },
  } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const besideStalled = values["beside-stalled"];
  const echo = values.echo || besideStalled;
  const turns = Number(values.turns ?? (echo ? 200 : 5000));
  const areKnown = positionals.every((given) => WORKER_NAMES.includes(given) || URL.parse(given)?.protocol === "http:");
  if (values.help || positionals.length < 2 || !areKnown || !Number.isInteger(turns) || turns < 10) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  onStopRequest({ stop: () => STOP_REQUEST.abort(), force: () => process.exit(130) });
  const cleanups = new Cleanups();
  try {
    const targets = await startTargets(positionals, values.kubeconfig, cleanups);
    const measure = echo ? await typing(targets) : await measureOf(values, targets);
    if (besideStalled) await stallAt(targets.at(-1) as Target, cleanups);
    const times = await measureInTurn(targets, turns, measure);
    await measure.end?.();
    report(targets, times);
    return 0;
  } catch (error) {
    if (SETTING.signal.aborted) return 130;
    throw error;
  } finally {
    await cleanups.run();
  }
}

async function startTargets(
  given: readonly string[],
  kubeconfig: string | undefined,
  cleanups: Cleanups,
): Promise<Target[]> {
  const cluster = kubeconfig === undefined ? undefined : { kubeconfig, context: undefined };
  const needsCluster = given.some((name) => WORKER_NAMES.includes(name));
  const environment = needsCluster ? await startEnvironment({ variants: [], cluster }, SETTING.signal) : undefined;
  if (environment) cleanups.add(() => environment.stop());
  const targets: Target[] = [];
  for (const name of given) {
    const worker = WORKERS.find((candidate) => candidate.name === name);
    let address = name;
    if (worker && environment) {
      const { stack, variant } = await startWorker(worker, environment.upstream, environment.home, SETTING.signal);
      cleanups.add(() => stack.stop());
      address = variant.url;
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    cleanups.add(() => agent.destroy());
    targets.push({ name, address, agent });
  }
  return targets;
}

async function stallAt(target: Target, cleanups: Cleanups): Promise<void> {
  const stalled = await openStalled(variantOf(target), SETTING);
  cleanups.add(() => stalled.terminate());
  await delay(STALLING_MS);
}

async function measureOf(
  { path, change, exec }: { path: string; change: boolean; exec: boolean },
  targets: readonly Target[],
): Promise<Measure> {
  if (exec) return { take: async (target) => [await timeOfExec(target)] };
  if (!change) return { take: async (target) => [await timeOf(target, { method: "GET", path })] };
  await timeOf(targets[0] as Target, { method: "POST", path: CONFIG_MAPS, body: CONFIG_MAP });
  let count = 0;
  const take = async (target: Target) => {
    const body = { metadata: { labels: { count: String(count++) } } };
    return [await timeOf(target, { method: "PATCH", path: `${CONFIG_MAPS}/in-turn`, body })];
  };
  return { take };
}

/** @returns of each turn each target's times */
async function measureInTurn(targets: readonly Target[], turns: number, measure: Measure): Promise<number[][][]> {
  const times: number[][][] = [];
  const warmUps = Math.ceil(turns / 10);
  for (let turn = 0; turn < warmUps + turns; turn++) {
    SETTING.signal.throwIfAborted();
    const ofTurn: number[][] = targets.map(() => []);
    // None is always the first: the others find the machine's caches as it left them.
    for (const target of rotate(targets, turn)) ofTurn[targets.indexOf(target)] = await measure.take(target);
    if (turn >= warmUps) times.push(ofTurn);
  }
  return times;
}

function report(targets: readonly Target[], times: readonly number[][][]): void {
  const of = (index: number) => times.map((turn) => turn[index] as number[]);
  const base = of(0);
  for (const [index, { name }] of targets.entries()) {
    const own = of(index);
    const figures = [0.5, 0.9, 0.99].map((part) => `p${part * 100} ${percentile(own.flat(), part).toFixed(3)} ms`);
    process.stdout.write(`${name}: ${figures.join(", ")}; ${own.flat().length} times\n`);
    if (index === 0) continue;
    const ofTurns = own.map((turn, at) => [median(turn), median(base[at] as number[])] as const);
    const show = (what: string, { median: middle, low, high }: ReturnType<typeof medianInterval>, unit = "") =>
      process.stdout.write(
        `  ${what}: ${middle.toFixed(4)}${unit} (95 %: ${low.toFixed(4)} to ${high.toFixed(4)}${unit})\n`,
      );
    show("ratio of a turn, median", medianInterval(ofTurns.map(([one, other]) => one / other)));
    show("difference of a turn, median", medianInterval(ofTurns.map(([one, other]) => one - other)), " ms");
    for (const part of [0.9, 0.99]) show(`ratio of p${part * 100}`, ratioInterval(own, base, part));
  }
}

/** Opens a session at each target, and types in it. */
async function typing(targets: readonly Target[]): Promise<Measure> {
  const sockets = new Map<Target, WebSocket>();
  for (const target of targets) sockets.set(target, await openExec(variantOf(target), SETTING, ["cat"]));
  return {
    take: (target) => typeInto(sockets.get(target) as WebSocket, KEYS_OF_A_TURN),
    end: () => Promise.all([...sockets.values()].map(hangUp)),
  };
}

function variantOf({ name, address }: Target) {
  return { name, url: address, headers: {} };
}

/** @returns ms until the command's connection is closed, which kubectl waits for */
async function timeOfExec(target: Target): Promise<number> {
  const startedAt = performance.now();
  const socket = await openExec(variantOf(target), SETTING, ["true"]);
  await new Promise((closed) => socket.once("close", closed));
  return performance.now() - startedAt;
}

/** @returns ms until the whole answer is there */
function timeOf({ address, agent }: Target, { method, path, body }: Sent): Promise<number> {
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    request(address + path, { method, agent, headers: body ? { "Content-Type": type } : {} }, (response) => {
      const { statusCode = 0 } = response;
      // 409: it is left from an earlier run.
      const isExpected = statusCode < 300 || (method === "POST" && statusCode === 409);
      if (!isExpected) reject(new Error(`${method} ${address}${path} answered ${statusCode}`));
      response
        .resume()
        .once("end", () => resolve(performance.now() - startedAt))
        .once("error", reject);
    })
      .once("error", reject)
      .end(body && JSON.stringify(body));
  });
}
