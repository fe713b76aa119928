/** Other clients that tests start: helm, and Python with its Kubernetes library. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Finished, helmPath } from "../../../dev/programs/kubectl.ts";

/** Runs a program until it exits. Of this process's environment it gets only PATH. */
export function runProgram(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Finished> {
  return new Promise((done) => {
    const all = { PATH: process.env["PATH"], ...env };
    const child = execFile(file, [...args], { env: all, cwd: tmpdir() }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
  });
}

/** helm with one person's context. Its home is empty. */
export class Helm {
  readonly #flags: readonly string[];
  readonly #home: string;

  constructor(kubeconfig: string, context: string, home: string) {
    this.#flags = [`--kubeconfig=${kubeconfig}`, `--kube-context=${context}`];
    this.#home = join(home, "helm");
  }

  run(...args: string[]): Promise<Finished> {
    return runProgram(helmPath(), [...args, ...this.#flags], { HOME: this.#home });
  }
}

/** Finds a Python with the library: the system's, for which Debian packages it, or the first on the path. */
export function findPython(): { readonly path: string; readonly version: string } | { readonly missing: string } {
  const candidates = ["/usr/bin/python3", "python3"].filter((path) => path === "python3" || existsSync(path));
  for (const path of candidates) {
    // Not in this folder, where the repository's own `kubernetes` would be imported.
    const script = "import kubernetes.stream; print(kubernetes.__version__)";
    const { status, stdout } = spawnSync(path, ["-c", script], { cwd: tmpdir(), encoding: "utf8" });
    if (status === 0) return { path, version: stdout.trim() };
  }
  return {
    missing: `no Kubernetes library for ${candidates.join(", ")} (on Debian: apt-get install python3-kubernetes)`,
  };
}
