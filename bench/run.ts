/** `npm run bench`: compares real kubectl over several paths to the same cluster. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { onStopRequest } from "../dev/stack/signals.ts";
import { type Environment, startEnvironment } from "./environment.ts";
import { type BenchCommand, parseCommandLine, USAGE } from "./options.ts";
import { untilQuiet } from "./quiet.ts";
import { describeMachine, evaluate, LEGEND, type Measured, type Result, renderResult } from "./report.ts";
import { SCENARIOS } from "./scenarios/index.ts";
import type { Scenario, Setting } from "./scenarios/scenario.ts";
import { rotate } from "./statistics.ts";

const command = parseCommandLine(process.argv.slice(2));
switch (command.kind) {
  case "help":
    process.stdout.write(USAGE);
    break;
  case "misuse":
    process.stderr.write(`${command.message}\n\n${USAGE}`);
    process.exitCode = 2;
    break;
  case "bench":
    process.exit(await bench(command));
}

/** @returns the exit code */
async function bench(options: BenchCommand): Promise<number> {
  if (options.kubectl !== undefined) process.env["KUBECTL"] = options.kubectl;
  const startedAt = new Date();
  const stopRequest = new AbortController();
  onStopRequest({ stop: () => stopRequest.abort(), force: () => process.exit(130) });
  const { signal } = stopRequest;
  let environment: Environment | undefined;
  try {
    say("Starting the cluster, the proxies and the Workers ...");
    environment = await startEnvironment(options, signal);
    const machine = describeMachine();
    process.stdout.write(`On ${environment.cluster}; ${machine.cpus}; ${options.rounds} rounds.\n${LEGEND}\n\n`);
    const results: Result[] = [];
    for (const scenario of SCENARIOS.filter(({ name }) => options.scenarios.includes(name))) {
      for (const measured of await runScenario(scenario, environment, options, signal)) {
        const upstream = environment.variants.find(({ isUpstream }) => isUpstream)?.name;
        const result = evaluate(measured, upstream);
        results.push(result);
        process.stdout.write(`${renderResult(result)}\n`);
      }
    }
    const { cluster } = environment;
    const file = writeResults(options, startedAt, { startedAt, cluster, machine, rounds: options.rounds, results });
    process.stdout.write(`Written: ${file}\n`);
    return 0;
  } catch (error) {
    if (signal.aborted) return 130;
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  } finally {
    await environment?.stop().catch((error) => process.stderr.write(`${error}\n`));
  }
}

/**
 * Runs rounds over all variants. Each round starts with another one, so that a slow phase of the machine
 * affects all.
 */
async function runScenario(
  scenario: Scenario,
  { variants, upstream, home }: Environment,
  { namespace, pod, rounds }: BenchCommand,
  signal: AbortSignal,
): Promise<Measured[]> {
  const setting: Setting = { namespace, pod, upstream, home, signal };
  const taking = variants.filter((variant) => scenario.appliesTo(variant));
  const samples = scenario.metrics.map(() => new Map<string, number[]>());
  for (let round = scenario.warmUp ? 0 : 1; round <= rounds; round++) {
    say(`${scenario.name}: ${round === 0 ? "warm-up" : `round ${round} of ${rounds}`} ...`);
    for (const variant of rotate(taking, round)) {
      signal.throwIfAborted();
      await untilQuiet(variants, signal);
      const sample = await scenario.measure(variant, setting);
      if (round === 0) continue;
      scenario.metrics.forEach(({ key }, index) => {
        const value = sample[key];
        const all = samples[index];
        if (value === undefined || all === undefined) return;
        all.set(variant.name, [...(all.get(variant.name) ?? []), value]);
      });
    }
  }
  return scenario.metrics.map((metric, index) => ({
    scenario: scenario.name,
    metric,
    samples: samples[index] ?? new Map(),
  }));
}

function writeResults({ json }: BenchCommand, startedAt: Date, results: object): string {
  const file = json ?? join(import.meta.dirname, "results", `${startedAt.toISOString().replaceAll(":", "-")}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  return file;
}

/** Prints progress, separate from the report. */
function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
