/** What a person at kubectl waits for: a command that does nothing, much out of a pod, much into it. */
import { randomFillSync } from "node:crypto";
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../processes.ts";
import { median } from "../statistics.ts";
import type { Scenario, Setting } from "./scenario.ts";

const MIB = 1024 * 1024;
const OUT_MIB = 300;
const IN_BYTES = 100_000_000;
/** One `exec -- true` takes no longer than the machine's next hiccup: each sample is the median of several. */
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

export const out: Scenario = {
  ...everywhere,
  name: "out",
  metrics: [{ key: "seconds", title: `${OUT_MIB} MiB out of a pod`, unit: "s" }],
  async measure({ name, kubectl }, setting) {
    // `dd`, because busybox's `head -c` is slower than any proxy.
    const { file, args, env } = kubectl.command(
      ...exec(setting),
      ...["sh", "-c", `dd if=/dev/zero bs=1048576 count=${OUT_MIB} 2>/dev/null`],
    );
    // Counted by a process that does nothing else.
    const counted = ["-c", '"$0" "$@" | wc -c', file, ...args];
    const { stdout, seconds } = await run("sh", counted, { env, signal: setting.signal });
    verifyCount(name, stdout, OUT_MIB * MIB);
    return { seconds };
  },
};

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
