/** Builds the plugin: one JavaScript file that runs on Node.js 20 and later, with nothing beside it. */
import { chmod, mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type BuildOptions, build } from "esbuild";

/**
 * What stands before and after the bundle.
 *
 * A file without an ending is a CommonJS module or an ECMAScript module, depending on a package.json above
 * it. So the bundle is neither: `import()` works in both, and gives it the `require` of Node's own modules.
 */
const BEFORE = `#!/usr/bin/env node
(async () => {
const require = (await import("node:module")).createRequire(process.execPath);`;
const AFTER = "})();";

export interface PluginOutput {
  /** The path of the file. Its folder is created. */
  readonly outFile: string;
}

/**
 * Writes the plugin, executable.
 *
 * @throws esbuild's BuildFailure, which names the files and lines at fault
 */
export async function buildPlugin({ outFile }: PluginOutput): Promise<void> {
  await mkdir(dirname(outFile), { recursive: true });
  await build({ ...(await pluginOptions()), outfile: outFile, banner: { js: BEFORE }, footer: { js: AFTER } });
  await chmod(outFile, 0o755);
}

/** esbuild's options for the bundle without what stands around it. */
export async function pluginOptions(): Promise<BuildOptions> {
  const project = dirname(import.meta.dirname);
  const { version } = JSON.parse(await readFile(join(project, "package.json"), "utf8")) as { readonly version: string };
  return {
    absWorkingDir: project,
    entryPoints: ["cli/main.ts"],
    bundle: true,
    platform: "node",
    target: "node20",
    format: "iife",
    charset: "utf8",
    legalComments: "inline",
    define: { SALLYPORT_VERSION: JSON.stringify(version) },
    logLevel: "silent",
  };
}
