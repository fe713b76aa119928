/** The kubeconfigs of a command: which files, and what is in them. */
import { readFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { errorCode, messageOf } from "../../common/errors.ts";
import { PluginFailure } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import type { KubeconfigFile } from "./read.ts";

/**
 * The paths that kubectl reads: `--kubeconfig` alone, or those of KUBECONFIG, or the one in the home folder.
 */
export function kubeconfigPaths({ env, homeFolder }: Surroundings, explicit: string | undefined): string[] {
  if (explicit !== undefined) return [explicit];
  const listed = (env["KUBECONFIG"] ?? "").split(delimiter).filter((path) => path !== "");
  return listed.length > 0 ? [...new Set(listed)] : [join(homeFolder, ".kube", "config")];
}

/** Reads those that exist. @param explicit must exist, unless it is one to write */
export async function readKubeconfigs(
  surroundings: Surroundings,
  explicit?: string,
  { isToWrite = false } = {},
): Promise<KubeconfigFile[]> {
  const files = kubeconfigPaths(surroundings, explicit);
  const { parse } = await import("yaml");
  return files.flatMap((path) => {
    const text = readTextIfAny(path);
    if (text === undefined && explicit !== undefined && !isToWrite) {
      throw new PluginFailure("bad_kubeconfig", `there is no file ${path}`);
    }
    if (text === undefined) return [];
    try {
      return [{ path, content: parse(text) as unknown }];
    } catch (error) {
      // The first line of the parser's message; the rest quotes the file, which may have credentials in it.
      throw new PluginFailure("bad_kubeconfig", `${path} is not YAML: ${messageOf(error).split("\n")[0]}`);
    }
  });
}

/** @returns undefined for a file that does not exist */
export function readTextIfAny(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw new PluginFailure("bad_kubeconfig", `cannot read ${path} (${errorCode(error)})`);
  }
}

/** Reads a PEM file. @param besides the kubeconfig that its path is relative to */
export function readPem(path: string, besides?: string): string {
  const full = besides === undefined ? path : resolve(dirname(besides), path);
  const text = readTextIfAny(full);
  if (text === undefined) throw new PluginFailure("bad_kubeconfig", `there is no certificate authority ${full}`);
  return text;
}
