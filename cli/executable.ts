/** Builds the plugin as one executable file with Node.js in it, for machines that have none. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { pluginOptions } from "./build.ts";

const run = promisify(execFile);

export interface ExecutableOutput {
  readonly outFile: string;
  /**
   * The Node.js of the system that it is for, of the same version as the one that runs this. Default: that
   * one. On macOS the result must be signed (`codesign --sign -`).
   */
  readonly node?: string | undefined;
}

/** @returns whether this Node.js can build one: since 25.5 it needs no other tool */
export function canBuildExecutable(version: string = process.versions.node): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 25 || (major === 25 && minor >= 5);
}

/**
 * Writes a single executable application: https://nodejs.org/api/single-executable-applications.html
 *
 * @throws where the build fails; see {@link canBuildExecutable}
 */
export async function buildExecutable({ outFile, node = process.execPath }: ExecutableOutput): Promise<void> {
  const output = resolve(outFile);
  const folder = await mkdtemp(join(tmpdir(), "kubectl-sallyport-"));
  try {
    const main = join(folder, "main.cjs");
    await build({ ...(await pluginOptions()), format: "cjs", outfile: main });
    const config = join(folder, "sea.json");
    await writeFile(
      config,
      JSON.stringify({
        main,
        output,
        executable: node,
        disableExperimentalSEAWarning: true,
        // Options of Node.js are not this program's, and NODE_OPTIONS could make it load other code.
        execArgvExtension: "none",
      }),
    );
    await mkdir(dirname(output), { recursive: true });
    await run(process.execPath, ["--build-sea", config]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
