/**
 * Bundles a Worker as `wrangler deploy` does, without the seconds that wrangler takes to load. A test
 * compares the result with wrangler's own, byte for byte (test/e2e/deploy.test.ts).
 */
import { dirname, join } from "node:path";
import { type BuildOptions, build } from "esbuild";
import type { WorkerConfiguration } from "./configuration.ts";

/** The fake of Cloudflare Access. It is never deployed, so it has no wrangler configuration. */
const ACCESS_FAKE = join(import.meta.dirname, "../access/worker.ts");

/** wrangler's options, from its src/deployment-bundle/bundle.ts. */
const WRANGLER_OPTIONS = {
  bundle: true,
  format: "esm",
  target: "es2024",
  supported: { "import-source": true, using: true },
  conditions: ["workerd", "worker", "browser"],
  external: ["cloudflare:*"],
  define: { "navigator.userAgent": '"Cloudflare-Workers"' },
  logLevel: "silent",
} satisfies BuildOptions;

/**
 * Writes a Worker's module to a folder, with its source map.
 *
 * @returns path of the module
 * @throws esbuild's BuildFailure, which names the files and lines at fault
 */
export async function bundleWorker(worker: WorkerConfiguration, outDir: string): Promise<string> {
  const outfile = join(outDir, "index.js");
  await build({ ...optionsOf(worker), outfile, sourcemap: true });
  return outfile;
}

/** Bundles a Worker in memory. @returns the text of its module; throws as `bundleWorker` does */
export async function bundleToText(worker: WorkerConfiguration): Promise<string> {
  const { outputFiles } = await build({ ...optionsOf(worker), write: false });
  const [module] = outputFiles;
  if (!module) throw new Error(`esbuild wrote nothing for ${worker.main}`);
  return module.text;
}

function optionsOf({ file, main, keepNames }: WorkerConfiguration) {
  // The comments that name the source files are relative to the configuration's folder.
  return { ...WRANGLER_OPTIONS, absWorkingDir: dirname(file), entryPoints: [main], keepNames };
}

/** Bundles the Access fake. @returns path of its module; throws as `bundleWorker` does */
export async function bundleAccessFake(outDir: string): Promise<string> {
  const outfile = join(outDir, "index.js");
  await build({ ...WRANGLER_OPTIONS, entryPoints: [ACCESS_FAKE], outfile });
  return outfile;
}
