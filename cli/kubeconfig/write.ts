/** Changes a kubeconfig as kubectl does: under its lock file, and never half. */
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode } from "../../common/errors.ts";
import type { Result } from "../../common/result.ts";
import { PluginFailure } from "../failure.ts";
import { isPassing, retryPassing } from "../store/windows.ts";
import type { Surroundings } from "../surroundings.ts";
import { kubeconfigPaths, readKubeconfigs, readTextIfAny } from "./files.ts";
import type { MergeOptions } from "./merge.ts";
import { type PlannedChange, planChanges } from "./plan.ts";
import { followLinks, replaceFile } from "./replace-file.ts";
import type { WrittenContext } from "./written-context.ts";

const LOCK_POLL_MS = 50;
/** kubectl holds its lock for milliseconds. */
const LOCK_TIMEOUT_MS = 5_000;

/**
 * Writes contexts to where they are, or to the file that `kubectl config` would choose.
 *
 * @param explicit of --kubeconfig. It need not exist
 * @returns what was written
 * @throws PluginFailure
 */
export async function changeKubeconfigs(
  surroundings: Surroundings,
  explicit: string | undefined,
  contexts: readonly WrittenContext[],
  { isReplacing, current }: MergeOptions,
): Promise<readonly PlannedChange[]> {
  const files = await readKubeconfigs(surroundings, explicit, { isToWrite: true });
  const fallback = kubeconfigToWrite(surroundings, explicit);
  const planned = planChanges(files, contexts, { fallback, isReplacing, current });
  if (!planned.ok) throw new PluginFailure("bad_kubeconfig", `nothing was changed: ${planned.error}`);
  // The YAML library takes longer to start than all the rest, and kubectl waits for other verbs.
  const { mergeContexts } = await import("./merge.ts");
  for (const change of planned.value) {
    const options = { isReplacing, current: change.current };
    await changeKubeconfig(change.path, (text) => mergeContexts(text, change.contexts, options));
  }
  return planned.value;
}

/**
 * The file for what is in none yet: as for `kubectl config`, the first of several that exists, else the last.
 */
function kubeconfigToWrite(surroundings: Surroundings, explicit: string | undefined): string {
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
    const file = followLinks(path);
    // client-go's name for it, which is beside the link: tools/clientcmd/config.go.
    const lock = `${path}.lock`;
    await takeLock(lock);
    try {
      const changed = change(readTextIfAny(file));
      if (!changed.ok) throw new PluginFailure("bad_kubeconfig", `${path} was not changed: ${changed.error}`);
      replaceFile(file, changed.value);
    } finally {
      retryPassing(() => rmSync(lock, { force: true }));
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
      if (errorCode(error) !== "EEXIST" && !isPassing(error)) throw error;
    }
    if (performance.now() - start > LOCK_TIMEOUT_MS) {
      throw new PluginFailure("busy", `another program changes the file at the moment: if none does, remove ${lock}`);
    }
    await sleep(LOCK_POLL_MS);
  }
}
