/** kubectl as a child process, with the operator's own access to a cluster, without Cloudflare. */
import { execFile } from "node:child_process";
import { homedir } from "node:os";

export interface KubectlAnswer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KubectlTarget {
  readonly path: string;
  readonly context: string | undefined;
}

/** Runs kubectl until it ends. Code 127: it is not installed. */
export type Kubectl = (
  target: KubectlTarget | undefined,
  args: readonly string[],
  input?: string,
) => Promise<KubectlAnswer>;

const TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** @param program default: the variable KUBECTL, else the first on the path */
export function kubectlProcess(program: string = process.env["KUBECTL"] ?? "kubectl"): Kubectl {
  return (target, args, input) =>
    new Promise((done) => {
      const child = execFile(
        program,
        [...flagsOf(target), ...args],
        { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES },
        (error, stdout, stderr) => done({ code: codeOf(error), stdout, stderr }),
      );
      // It may end before it has read its input.
      child.stdin?.on("error", () => {});
      child.stdin?.end(input ?? "");
    });
}

function flagsOf(target: KubectlTarget | undefined): string[] {
  if (!target) return [];
  const path = target.path.replace(/^~(?=\/)/, homedir());
  return [`--kubeconfig=${path}`, ...(target.context === undefined ? [] : [`--context=${target.context}`])];
}

function codeOf(error: unknown): number {
  if (error === null) return 0;
  const { code } = error as { code?: unknown };
  if (code === "ENOENT") return 127;
  return typeof code === "number" ? code : 1;
}
