import { randomUUID } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { errorCode } from "../../common/errors.ts";
import { StackError } from "./errors.ts";

/** Absolute paths of everything that belongs to one local stack. */
export interface StatePaths {
  readonly dir: string;
  readonly lock: string;
  readonly log: string;
  readonly kubeconfig: string;
  readonly kubeconfigTls: string;
  readonly kubeconfigPlugin: string;
  /** The kubectl plugin, as a program. */
  readonly plugin: string;
  /** What the plugin keeps: a folder per persona. */
  readonly pluginHome: string;
  readonly endpoints: string;
  /** PEM of the authority that the HTTPS addresses' certificate is from. */
  readonly certificateAuthority: string;
  readonly accessKeys: string;
  readonly tls: string;
  readonly bundles: string;
  /** Data of D1 and of the Durable Objects. */
  readonly data: string;
  readonly cluster: string;
}

/** Creates the state directory, accessible to its owner only. @returns the paths in it */
export function openStateDir(stateDir: string): StatePaths {
  const wanted = resolve(stateDir);
  try {
    mkdirSync(wanted, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StackError(`cannot use ${wanted} as the state directory (${errorCode(error) ?? String(error)})`);
  }
  const dir = realpathSync(wanted);
  return {
    dir,
    lock: join(dir, "lock.json"),
    log: join(dir, "sallyport.log"),
    kubeconfig: join(dir, "kubeconfig"),
    kubeconfigTls: join(dir, "kubeconfig.tls"),
    kubeconfigPlugin: join(dir, "kubeconfig.plugin"),
    plugin: join(dir, "kubectl-sallyport"),
    pluginHome: join(dir, "plugin"),
    endpoints: join(dir, "endpoints.json"),
    certificateAuthority: join(dir, "ca.pem"),
    accessKeys: join(dir, "access-keys.json"),
    tls: join(dir, "tls.json"),
    bundles: join(dir, "bundles"),
    data: join(dir, "data"),
    cluster: join(dir, "cluster"),
  };
}

/** Writes a file atomically, so that a reader never sees half of it. Readable by its owner only. */
export function writeFileAtomically(path: string, content: string): void {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    writeFileSync(temporary, content, { mode: 0o600, flag: "wx" });
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** @returns the JSON in a file, or undefined if the file is missing or is not JSON */
export function readJsonIfAny(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (errorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
