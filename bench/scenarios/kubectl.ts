/** What a user of kubectl waits for: a command that does nothing, much output, much input. */
import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "../../tools/statistics.ts";
import { run } from "../processes.ts";
import type { Variant } from "../variants.ts";
import type { Scenario, Setting } from "./scenario.ts";

const MIB = 1024 * 1024;
const OUT_MIB = 300;
const TEXT_MIB = 10;
const IN_BYTES = 100_000_000;
/** A single `exec -- true` is as short as the machine's hiccups, so each sample is the median of several. */
const TRUE_RUNS = 5;

const everywhere = { warmUp: true, appliesTo: () => true } as const;

export const execTrue: Scenario = {
  ...everywhere,
  name: "exec-true",
  metrics: [{ key: "seconds", title: "exec -- true", unit: "s" }],
  async measure({ kubectl }, setting) {
    const { file, args, env } = kubectl.command(...exec(setting), "true");
    const samples: number[] = [];
    while (samples.length < TRUE_RUNS) {
      samples.push((await run(file, args, { env, signal: setting.signal })).seconds);
    }
    return { seconds: median(samples) };
  },
};

/**
 * Text such as logs and dumps: lines of a hundred characters, in a file that exists before the measurement.
 */
export const outText: Scenario = {
  ...everywhere,
  name: "out",
  metrics: [{ key: "seconds", title: `${OUT_MIB} MiB of text out of a pod`, unit: "s" }],
  async measure(variant, setting) {
    const file = "/tmp/bench-text";
    const make = `[ -s ${file} ] || yes '${"2026-11-22T06:00:00Z INFO a line of a log, as there are many ".padEnd(99, ".")}' | head -n 104858 | head -c ${TEXT_MIB * MIB} > ${file}`;
    const prepared = variant.kubectl.command(...exec(setting), "sh", "-c", make);
    await run(prepared.file, prepared.args, { env: prepared.env, signal: setting.signal });
    return countOut(variant, setting, "cat", ...Array<string>(OUT_MIB / TEXT_MIB).fill(file));
  },
};

/** Zeros, which become the largest recording, because JSON escapes them. */
export const outZeros: Scenario = {
  ...everywhere,
  name: "out-zeros",
  metrics: [{ key: "seconds", title: `${OUT_MIB} MiB of zeros out of a pod`, unit: "s" }],
  // `dd`, because busybox's `head -c` is slower than any proxy.
  measure: (variant, setting) =>
    countOut(variant, setting, "sh", "-c", `dd if=/dev/zero bs=1048576 count=${OUT_MIB} 2>/dev/null`),
};

async function countOut({ name, kubectl }: Variant, setting: Setting, ...command: string[]) {
  const { file, args, env } = kubectl.command(...exec(setting), ...command);
  // Counted by a process of its own.
  const counted = ["-c", '"$0" "$@" | wc -c', file, ...args];
  const { stdout, seconds } = await run("sh", counted, { env, signal: setting.signal });
  verifyCount(name, stdout, OUT_MIB * MIB);
  return { seconds };
}

export const into: Scenario = {
  ...everywhere,
  name: "in",
  metrics: [{ key: "seconds", title: `${IN_BYTES / 1e6} MB into a pod`, unit: "s" }],
  async measure({ name, kubectl }, setting) {
    const { file, args, env } = kubectl.command(...exec(setting, "-i"), "wc", "-c");
    const stdin = openSync(randomFile(setting.home), "r");
    try {
      const { stdout, seconds } = await run(file, args, { env, stdin, signal: setting.signal });
      verifyCount(name, stdout, IN_BYTES);
      return { seconds };
    } finally {
      closeSync(stdin);
    }
  },
};

function exec({ namespace, pod }: Setting, ...flags: string[]): string[] {
  return ["exec", "-n", namespace, pod, ...flags, "--"];
}

function randomFile(home: string): string {
  const path = join(home, "random");
  if (!existsSync(path)) writeFileSync(path, randomFillSync(Buffer.allocUnsafe(IN_BYTES)));
  return path;
}

function verifyCount(variant: string, printed: string, expected: number): void {
  if (Number(printed) !== expected) {
    throw new Error(`${variant}: ${printed.trim()} bytes arrived, ${expected} were sent`);
  }
}
