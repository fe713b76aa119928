/**
 * `node bench/in-turn.ts BASE OTHER`: what an API request, or an exec, pays at OTHER more than at BASE.
 *
 * Both are asked in turn, request by request, so that a machine whose speed drifts cannot tell them apart.
 * For differences of one percent, which the scenarios of `npm run bench` are too coarse for.
 */
import { Agent, request } from "node:http";
import { parseArgs } from "node:util";
import { median } from "../tools/statistics.ts";
import { openExec } from "./scenarios/exec-socket.ts";
import { medianInterval } from "./statistics.ts";

const USAGE = `Usage: node bench/in-turn.ts [options] BASE OTHER

Sends the same request to two addresses in turn, and compares the times of each pair. The addresses are of two stacks,
e.g. of two commits, each started with "npm start -- --upstream URL" in front of the same cluster.

  --path PATH    what is read. Default: /api/v1/namespaces/demo/pods/shell
  --change       PATCH a label instead, of the ConfigMap "in-turn" of namespace demo, which is made first. Raise
                 "maxChangesPerMinute" and "maxChangesPerDay" of both
  --exec         run "true" in the pod "shell" of namespace demo instead, from the request to the end of its connection
  --pairs N      Default: 5000. As many more as a tenth of them come first and do not count
  --help         this text
`;

interface Target {
  readonly address: string;
  readonly agent: Agent;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body?: object;
}

const CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps";
const CONFIG_MAP = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "in-turn" } };

function changeOf(count: number): Sent {
  return { method: "PATCH", path: `${CONFIG_MAPS}/in-turn`, body: { metadata: { labels: { count: String(count) } } } };
}

process.exit(await main());

/** @returns the exit code */
async function main(): Promise<number> {
  const options = {
    path: { type: "string", default: "/api/v1/namespaces/demo/pods/shell" },
    change: { type: "boolean", default: false },
    exec: { type: "boolean", default: false },
    pairs: { type: "string", default: "5000" },
    help: { type: "boolean", default: false },
  } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const pairs = Number(values.pairs);
  if (values.help || positionals.length !== 2 || !Number.isInteger(pairs) || pairs < 10) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  const [base, other] = positionals.map((address) => ({
    address,
    agent: new Agent({ keepAlive: true, maxSockets: 1 }),
  })) as [Target, Target];
  const sent = values.change ? changeOf : () => ({ method: "GET", path: values.path });
  const measure = values.exec ? timeOfExec : (target: Target, count: number) => timeOf(target, sent(count));
  if (values.change) await timeOf(base, { method: "POST", path: CONFIG_MAPS, body: CONFIG_MAP });
  const times: { base: number; other: number }[] = [];
  const warmUps = Math.ceil(pairs / 10);
  for (let count = 0; count < warmUps + pairs; count++) {
    // Neither is always the first: the second finds the machine's caches as the first left them.
    const isBaseFirst = count % 2 === 0;
    const first = await measure(isBaseFirst ? base : other, 2 * count);
    const second = await measure(isBaseFirst ? other : base, 2 * count + 1);
    if (count >= warmUps) times.push(isBaseFirst ? { base: first, other: second } : { base: second, other: first });
  }
  for (const { agent } of [base, other]) agent.destroy();
  const ratio = medianInterval(times.map((pair) => pair.other / pair.base));
  const difference = medianInterval(times.map((pair) => pair.other - pair.base));
  process.stdout.write(
    `p50: base ${median(times.map((pair) => pair.base)).toFixed(3)} ms, ` +
      `other ${median(times.map((pair) => pair.other)).toFixed(3)} ms, ${pairs} pairs\n` +
      `ratio of a pair, median: ${ratio.median.toFixed(4)} (95 %: ${ratio.low.toFixed(4)} to ${ratio.high.toFixed(4)})\n` +
      `difference of a pair, median: ${difference.median.toFixed(4)} ms ` +
      `(95 %: ${difference.low.toFixed(4)} to ${difference.high.toFixed(4)})\n`,
  );
  return 0;
}

/** @returns ms until the command's connection is closed, which kubectl waits for */
async function timeOfExec({ address }: Target): Promise<number> {
  const startedAt = performance.now();
  const setting = { namespace: "demo", pod: "shell", signal: new AbortController().signal };
  const socket = await openExec({ name: address, url: address, headers: {} }, setting, ["true"]);
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
