/**
 * Bundles a Worker as `wrangler deploy` does, without the seconds that wrangler takes to load. A test
 * compares the result with wrangler's own, byte for byte (test/e2e/deploy.test.ts).
 */
import { dirname, join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { buildConsole, CONSOLE_FILES, CONSOLE_FILES_NAME } from "../../console/build.ts";
import type { WorkerConfiguration } from "./configuration.ts";

/** The fakes of Cloudflare's services. They are never deployed, so they have no wrangler configuration. */
const FAKES = {
  access: join(import.meta.dirname, "../access/worker.ts"),
  vpc: join(import.meta.dirname, "../vpc/worker.ts"),
} as const;

/** In place of wrangler.jsonc's alias: builds the console's files once a Worker imports them. */
const consoleFiles: Plugin = {
  name: "console-files",
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^${CONSOLE_FILES_NAME}$`) }, async () => {
      await buildConsole();
      return { path: CONSOLE_FILES };
    });
  },
};

/** wrangler's options, from its src/deployment-bundle/bundle.ts. */
const WRANGLER_OPTIONS = {
  bundle: true,
  format: "esm",
  target: "es2024",
  supported: { "import-source": true, using: true },
  conditions: ["workerd", "worker", "browser"],
  external: ["cloudflare:*"],
  plugins: [consoleFiles],
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
export function bundleToText(worker: WorkerConfiguration): Promise<string> {
  return buildToText(optionsOf(worker));
}

async function buildToText(options: BuildOptions): Promise<string> {
  const { outputFiles } = await build({ ...options, write: false });
  const [module] = outputFiles ?? [];
  if (!module) throw new Error(`esbuild wrote nothing for ${options.entryPoints}`);
  return module.text;
}

function optionsOf({ file, main, keepNames }: WorkerConfiguration) {
  // The comments that name the source files are relative to the configuration's folder.
  return { ...WRANGLER_OPTIONS, absWorkingDir: dirname(file), entryPoints: [main], keepNames };
}

/** Bundles a fake of a Cloudflare service. @returns path of its module; throws as `bundleWorker` does */
export async function bundleFake(name: keyof typeof FAKES, outDir: string): Promise<string> {
  const outfile = join(outDir, "index.js");
  await build({ ...WRANGLER_OPTIONS, entryPoints: [FAKES[name]], outfile });
  return outfile;
}

/** The same in memory, as `bundleToText`. */
export function bundleFakeToText(name: keyof typeof FAKES): Promise<string> {
  return buildToText({ ...WRANGLER_OPTIONS, entryPoints: [FAKES[name]] });
}
