/**
 * What the fuzz programs share: inputs made of real streams with faults put in, and of nothing but chance. Options:
 *
 *     --seconds N     how long (60)
 *     --input BASE64  only this one input, as a failed run has printed it
 *
 * SALLYPORT_SEED=… gives the inputs of an earlier run again.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Random, seedOfRun } from "../support/random.ts";

export interface Target {
  readonly name: string;
  /** Valid inputs, from which others are made. */
  readonly corpus: readonly [Uint8Array, ...Uint8Array[]];
  /** Throws when something is not as it must be. `random` depends on the input alone, so that it can be had again. */
  check(input: Uint8Array, random: Random): void;
}

const LONGEST_INPUT = 16 * 1024;

/** Runs until the time is over or an input fails; ends the process. */
export function fuzz(target: Target): never {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" }, input: { type: "string" } } });
  if (values.input !== undefined) {
    run(target, new Uint8Array(Buffer.from(values.input, "base64")));
    console.log(`${target.name}: this input is fine`);
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
  let input: Uint8Array = random.pick(corpus).slice(0, LONGEST_INPUT);
  for (let n = random.below(6); n >= 0; n--) input = mutate(input, corpus, random);
  return input.slice(0, LONGEST_INPUT);
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
      return joined(before, random.bytes(random.length(50)), inside, after);
    case 3:
      return joined(before, after);
    case 4:
      return joined(before, inside, inside, after);
    case 5:
      return before;
    default: {
      const other = random.pick(corpus);
      return joined(before, other.subarray(random.below(other.length + 1)));
    }
  }
}

function replaced(input: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const copy = input.slice();
  if (at < copy.length) copy[at] = change(copy[at] ?? 0);
  return copy;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** A message of a real session. */
export interface CapturedMessage {
  readonly dir: "to-server" | "to-client";
  readonly bytes: Uint8Array;
}

/** The captures whose name has `part` in it, each as its messages in order. */
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
