/** A kubectl of another version than that of all other tests. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { kubectlPath } from "../../../dev/programs/kubectl.ts";

/** The version that a kubectl reports, such as `v1.32.4`; undefined if it does not run. */
function kubectlVersion(path: string): string | undefined {
  const { status, stdout } = spawnSync(path, ["version", "--client", "--output=json"], { encoding: "utf8" });
  return status === 0 ? /"gitVersion": "(v\d+\.\d+\.\d+)/.exec(stdout)?.[1] : undefined;
}

/** A kubectl of another minor version than {@link kubectlPath}: KUBECTL_OTHER, or the first on the path. */
export function otherKubectl(): { readonly path: string; readonly version: string } | { readonly missing: string } {
  const given = process.env["KUBECTL_OTHER"];
  const folders = (process.env["PATH"] ?? "").split(":").filter((folder) => !folder.includes("node_modules"));
  const path = given ?? folders.map((folder) => join(folder, "kubectl")).find((candidate) => existsSync(candidate));
  if (path === undefined) return { missing: "there is no kubectl on the path: set KUBECTL_OTHER to one" };
  const version = kubectlVersion(path);
  if (version === undefined) return { missing: `${path} does not report its version` };
  const minor = (of: string | undefined) => Number(of?.split(".")[1]);
  if (minor(version) < 31) return { missing: `${path} is ${version}, which uses SPDY by default` };
  if (minor(version) === minor(kubectlVersion(kubectlPath()))) {
    return { missing: `${path} is ${version}, the minor version of all other tests` };
  }
  return { path, version };
}
