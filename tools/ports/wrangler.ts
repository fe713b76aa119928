/** Runs wrangler as a child process, with a generated configuration. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as z from "zod";
import { OperatorError } from "../deployment/operator-error.ts";

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of wrangler's machine-readable output file. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
}

/** Runs wrangler until it exits. Its output is returned, not printed. */
export type Wrangler = (args: readonly string[]) => Promise<Finished>;

/** @param configuration path of the generated file */
export function wranglerProcess(configuration: string): Wrangler {
  const cli = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
  return (args) => {
    const folder = mkdtempSync(join(tmpdir(), "sallyport-wrangler-"));
    const output = join(folder, "output.ndjson");
    const child = spawn(process.execPath, [cli, ...args, "--config", configuration], {
      // Without a terminal wrangler answers a prompt with its default, which is yes for migrations.
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        WRANGLER_OUTPUT_FILE_PATH: output,
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_HIDE_BANNER: "true",
        CI: "1",
        NO_COLOR: "1",
        FORCE_COLOR: "0",
      },
    });
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        said[name] += chunk;
      });
    }
    return new Promise((done, failed) => {
      child.once("error", failed);
      child.once("close", (code) => {
        const records = readRecords(output);
        rmSync(folder, { recursive: true, force: true });
        done({ code: code ?? 1, ...said, records });
      });
    });
  };
}

function readRecords(file: string): Record<string, unknown>[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Queries the deployed database through wrangler, with the operator's own sign-in. */
export function wranglerDatabase(wrangler: Wrangler, database: string) {
  return async <Row>(sql: string): Promise<Row[]> => {
    const { code, stdout, stderr } = await wrangler([
      "d1",
      "execute",
      database,
      "--remote",
      "--json",
      "--command",
      sql,
    ]);
    if (code !== 0) throw new OperatorError(`D1 did not answer:\n${wranglerOutput({ stdout, stderr })}`);
    const [answer] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [{ results: Row[] }?];
    if (!answer) throw new OperatorError("wrangler returned no answer of D1: run the command again");
    return answer.results;
  };
}

const buckets = z.object({ r2_buckets: z.array(z.object({ binding: z.string(), bucket_name: z.string() })) });

/** The bucket of recordings and seals that a generated configuration names. */
export function recordingsBucket(configuration: string): string {
  const config = buckets.safeParse(JSON.parse(readFileSync(configuration, "utf8")));
  const found = config.data?.r2_buckets.find(({ binding }) => binding === "RECORDINGS");
  if (!found)
    throw new OperatorError(`${configuration} binds no bucket as RECORDINGS: run npx sallyport deploy --dry-run`);
  return found.bucket_name;
}

/** @returns wrangler's error output; with --json its errors are on stdout */
export function wranglerOutput({ stdout, stderr }: Pick<Finished, "stdout" | "stderr">): string {
  return [stderr.trim(), stdout.trim()].filter((text) => text !== "").join("\n");
}
