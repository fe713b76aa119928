/** The benchmark's child processes. Each leads a process group, so that ending it ends its children. */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** An open file for its input. Default: no input. */
  readonly stdin?: number | undefined;
  readonly signal: AbortSignal;
}

export interface Finished {
  readonly stdout: string;
  /** From the start of the process to the end of its output. */
  readonly seconds: number;
}

/**
 * Runs a program until it exits.
 *
 * @throws with the program's error output if it fails, and when `signal` aborts
 */
export async function run(
  file: string,
  args: readonly string[],
  { env, stdin, signal }: ProgramOptions,
): Promise<Finished> {
  signal.throwIfAborted();
  const start = performance.now();
  const child = startGroup(file, args, env, [stdin ?? "ignore", "pipe", "pipe"]);
  const kill = () => killGroup(child, "SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  try {
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), closed(child)]);
    const seconds = (performance.now() - start) / 1000;
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`${file} ${args.join(" ")}: exit code ${code}: ${stderr.trim()}`);
    return { stdout, seconds };
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

/** A program that runs until it is told to stop. */
export interface Background {
  isRunning(): boolean;
  stop(): Promise<void>;
}

export interface Server extends Background {
  readonly url: string;
}

/** Starts a program and discards its output. */
export function startInBackground(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Background {
  return background(startGroup(file, args, env, ["ignore", "ignore", "ignore"]));
}

function background(child: ChildProcess): Background {
  const ended = closed(child).catch(() => null);
  return {
    isRunning: () => child.pid !== undefined && child.exitCode === null && child.signalCode === null,
    stop: async () => {
      killGroup(child, "SIGTERM");
      const force = setTimeout(() => killGroup(child, "SIGKILL"), STOP_PATIENCE_MS);
      await ended;
      clearTimeout(force);
    },
  };
}

/** Starts a server. Resolves when it has printed its address: the first `host:port` of its output. */
export async function startServer(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Server> {
  const child = startGroup(file, args, env, ["ignore", "pipe", "pipe"]);
  const ended = closed(child);
  const running = background(child);
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    said = (said + chunk).slice(-MAX_WORDS);
  });
  const url = new Promise<string>((resolve) => {
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      said = (said + chunk).slice(-MAX_WORDS);
      const [address] = /127\.0\.0\.1:\d+/.exec(said) ?? [];
      if (address !== undefined && said.includes("\n")) resolve(`http://${address}`);
    });
  });
  const failed = ended.then((code) => {
    throw new Error(`${file} ${args.join(" ")} ended with ${code} instead of serving: ${said.trim()}`);
  });
  // After that nothing here waits for its end.
  failed.catch(() => {});
  return { ...running, url: await Promise.race([url, failed]) };
}

const STOP_PATIENCE_MS = 5_000;
const MAX_WORDS = 4_096;

function startGroup(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv | undefined,
  stdio: StdioOptions,
): ChildProcess {
  return spawn(file, args, { stdio, detached: true, ...(env && { env }) });
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has already ended.
  }
}

function closed(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  let all = "";
  for await (const chunk of stream ?? []) all += chunk.toString();
  return all;
}
