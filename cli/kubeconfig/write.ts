/** Changes a kubeconfig as kubectl does: under its lock file, and never half. */
import { closeSync, existsSync, mkdirSync, openSync, realpathSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode } from "../../common/errors.ts";
import type { Result } from "../../common/result.ts";
import { PluginFailure } from "../failure.ts";
import { writePrivateFile } from "../store/atomic-file.ts";
import type { Surroundings } from "../surroundings.ts";
import { kubeconfigPaths, readTextIfAny } from "./files.ts";

const LOCK_POLL_MS = 50;
/** kubectl holds its lock for milliseconds. */
const LOCK_TIMEOUT_MS = 5_000;

/** The file that new contexts go to: as for `kubectl config`, the first of several that exists, else the last. */
export function kubeconfigToWrite(surroundings: Surroundings, explicit: string | undefined): string {
  const paths = kubeconfigPaths(surroundings, explicit);
  return paths.find((path) => existsSync(path)) ?? paths.at(-1) ?? "";
}

/**
 * @param change gives the new content, or why there is none
 * @throws PluginFailure
 */
export async function changeKubeconfig(
  path: string,
  change: (text: string | undefined) => Result<string, string>,
): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // A link stays a link.
    const file = existsSync(path) ? realpathSync(path) : path;
    // client-go's name for it, which is beside the link: tools/clientcmd/config.go.
    const lock = `${path}.lock`;
    await takeLock(lock);
    try {
      const changed = change(readTextIfAny(file));
      if (!changed.ok) throw new PluginFailure("bad_kubeconfig", `${path} was not changed: ${changed.error}`);
      writePrivateFile(file, changed.value, existsSync(file) ? statSync(file).mode & 0o777 : 0o600);
    } finally {
      rmSync(lock, { force: true });
    }
  } catch (error) {
    if (error instanceof PluginFailure) throw error;
    throw new PluginFailure("bad_kubeconfig", `cannot write ${path} (${errorCode(error)})`);
  }
}

async function takeLock(lock: string): Promise<void> {
  const start = performance.now();
  for (;;) {
    try {
      closeSync(openSync(lock, "wx", 0o600));
      return;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
    if (performance.now() - start > LOCK_TIMEOUT_MS) {
      throw new PluginFailure("busy", `another program changes the file at the moment: if none does, remove ${lock}`);
    }
    await sleep(LOCK_POLL_MS);
  }
}
