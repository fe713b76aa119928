/**
 * Shared by the fuzz programs: makes inputs by mutating real streams, and random ones. Options:
 *
 *     --seconds N     duration (60)
 *     --input BASE64  run only this input, as a failed run printed it
 *
 * SALLYPORT_SEED=… repeats the inputs of an earlier run.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { concatBytes } from "../../common/bytes.ts";
import { Random, seedOfRun } from "../support/random.ts";

export interface Target {
  readonly name: string;
  /** Valid inputs to mutate. */
  readonly corpus: readonly [Uint8Array, ...Uint8Array[]];
  /**
   * Throws when a property does not hold. `random` depends only on the input, so `--input` repeats a check.
   */
  check(input: Uint8Array, random: Random): void;
}

const MAX_INPUT_BYTES = 16 * 1024;

/** Runs until the time is over or an input fails, then exits the process. */
export function fuzz(target: Target): never {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" }, input: { type: "string" } } });
  if (values.input !== undefined) {
    run(target, new Uint8Array(Buffer.from(values.input, "base64")));
    console.log(`${target.name}: the input passes`);
    process.exit(0);
  }
  const seed = seedOfRun();
  const random = new Random(seed);
  const start = performance.now();
  const end = start + Number(values.seconds) * 1_000;
  let executions = 0;
  for (; performance.now() < end; executions++) run(target, makeInput(target.corpus, random));
  const seconds = Math.round((performance.now() - start) / 1_000);
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(`${target.name}: ${executions} executions in ${seconds} s, peak ${peak} MiB, SALLYPORT_SEED=${seed}`);
  process.exit(0);
}

function run(target: Target, input: Uint8Array): void {
  try {
    target.check(input, new Random(hashOf(input)));
  } catch (error) {
    console.error(`${target.name}: failed on\n${Buffer.from(input).toString("base64")}`);
    console.error(error);
    process.exit(1);
  }
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array): number {
  return bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
}

function makeInput(corpus: Target["corpus"], random: Random): Uint8Array {
  if (random.chance(0.1)) return random.bytes(random.length(2_000));
  let input: Uint8Array = random.pick(corpus).slice(0, MAX_INPUT_BYTES);
  for (let n = random.below(6); n >= 0; n--) input = mutate(input, corpus, random);
  return input.slice(0, MAX_INPUT_BYTES);
}

function mutate(input: Uint8Array, corpus: Target["corpus"], random: Random): Uint8Array {
  const at = random.below(input.length + 1);
  const to = Math.min(input.length, at + random.length(500));
  const [before, inside, after] = [input.subarray(0, at), input.subarray(at, to), input.subarray(to)];
  switch (random.below(7)) {
    case 0:
      return replaced(input, at, (byte) => byte ^ (1 << random.below(8)));
    case 1:
      return replaced(input, at, () => random.pick([0, 1, 0x7f, 0x80, 0xff, random.below(256)]));
    case 2:
      return concatBytes([before, random.bytes(random.length(50)), inside, after]);
    case 3:
      return concatBytes([before, after]);
    case 4:
      return concatBytes([before, inside, inside, after]);
    case 5:
      return before;
    default: {
      const other = random.pick(corpus);
      return concatBytes([before, other.subarray(random.below(other.length + 1))]);
    }
  }
}

function replaced(input: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const copy = input.slice();
  if (at < copy.length) copy[at] = change(copy[at] ?? 0);
  return copy;
}

/** A message of a captured session. */
export interface CapturedMessage {
  readonly dir: "to-server" | "to-client";
  readonly bytes: Uint8Array;
}

/** Reads the captures with `part` in their name, each as its messages in order. */
export function captures(part: string): CapturedMessage[][] {
  const directory = new URL("../vectors/captures/", import.meta.url);
  const files = readdirSync(directory).filter((file) => file.includes(part));
  return files.map((file) => {
    const lines = readFileSync(new URL(file, directory), "utf8").trim().split("\n").slice(1);
    return lines
      .map((line) => JSON.parse(line))
      .filter(({ type }) => type === "binary" || type === "text")
      .map(({ dir, base64 }) => ({ dir, bytes: new Uint8Array(Buffer.from(base64, "base64")) }));
  });
}
