import { spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { StackError } from "./errors.ts";

/** The stand-in's Worker. */
const ACCESS_WORKER = join(import.meta.dirname, "../access/worker.ts");

export interface BundleInput {
  /** A wrangler configuration file. */
  readonly config: string;
  readonly environment: string;
  readonly outDir: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Bundles a Worker with wrangler's own bundler, as a deploy would, without an account.
 *
 * @returns path of the Worker's module
 * @throws StackError with wrangler's words
 */
export async function bundleWorker({ config, environment, outDir, signal }: BundleInput): Promise<string> {
  rmSync(outDir, { recursive: true, force: true });
  const cli = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
  const args = [cli, "deploy", "--dry-run", "--config", config, "--env", environment, "--outdir", outDir];
  const output = await run(args, signal);
  if (output !== undefined) throw new StackError(`wrangler could not bundle ${config}:\n${output}`);
  const modules = readdirSync(outDir).filter((name) => !/\.map$|^README\.md$/.test(name));
  const [main] = modules;
  if (main === undefined || modules.length > 1 || !main.endsWith(".js")) {
    throw new StackError(
      `expected one JavaScript module in the bundle of ${config}, found ${modules.join(", ") || "none"}`,
    );
  }
  return join(outDir, main);
}

/**
 * Bundles the Access stand-in. It is nobody's deployment, so it is spared the seconds that wrangler takes.
 *
 * @returns path of its module
 */
export async function bundleAccess(outDir: string): Promise<string> {
  const outfile = join(outDir, "worker.js");
  await build({
    entryPoints: [ACCESS_WORKER],
    outfile,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker"],
    external: ["cloudflare:workers"],
    logLevel: "silent",
  });
  return outfile;
}

/** Resolves with what the program said when it failed, with undefined when all is well. */
function run(args: readonly string[], signal: AbortSignal | undefined): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      ...(signal && { signal }),
      env: {
        ...process.env,
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_HIDE_BANNER: "true",
        WRANGLER_LOG: "error",
        NO_COLOR: "1",
        FORCE_COLOR: "0",
      },
    });
    let said = "";
    const listen = (chunk: string) => {
      said += chunk;
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.once("error", reject);
    child.once("close", (code) => resolve(code === 0 ? undefined : said.trim() || `exit code ${code}`));
  });
}
