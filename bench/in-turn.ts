/**
 * `node bench/in-turn.ts BASE OTHER`: what an API request pays at OTHER more than at BASE.
 *
 * Both are asked in turn, request by request, so that a machine whose speed drifts cannot tell them apart.
 * For differences of one percent, which the scenarios of `npm run bench` are too coarse for.
 */
import { Agent, get } from "node:http";
import { parseArgs } from "node:util";
import { median } from "../tools/statistics.ts";
import { medianInterval } from "./statistics.ts";

const USAGE = `Usage: node bench/in-turn.ts [options] BASE OTHER

Sends the same GET to two addresses in turn, and compares the times of each pair. The addresses are of two stacks, e.g.
of two commits, each started with "npm start -- --upstream URL" in front of the same cluster.

  --path PATH    Default: /api/v1/namespaces/demo/pods/shell
  --pairs N      Default: 5000. As many more as a tenth of them come first and do not count
  --help         this text
`;

interface Target {
  readonly url: string;
  readonly agent: Agent;
}

process.exit(await main());

/** @returns the exit code */
async function main(): Promise<number> {
  const options = {
    path: { type: "string", default: "/api/v1/namespaces/demo/pods/shell" },
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
    url: address + values.path,
    agent: new Agent({ keepAlive: true, maxSockets: 1 }),
  })) as [Target, Target];
  const times: { base: number; other: number }[] = [];
  const warmUps = Math.ceil(pairs / 10);
  for (let count = 0; count < warmUps + pairs; count++) {
    // Neither is always the first: the second finds the machine's caches as the first left them.
    const isBaseFirst = count % 2 === 0;
    const first = await timeOf(isBaseFirst ? base : other);
    const second = await timeOf(isBaseFirst ? other : base);
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

/** @returns ms until the whole answer is there */
function timeOf({ url, agent }: Target): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}`));
      response
        .resume()
        .once("end", () => resolve(performance.now() - startedAt))
        .once("error", reject);
    }).once("error", reject);
  });
}
