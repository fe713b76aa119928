/**
 * Runs the tests in workerd at every compatibility date that Sallyport supports: does the code depend on a
 * date's defaults?
 *
 *   npm run test:compat [-- --only oldest|deployed|newest] [-- VITEST_ARGUMENTS]
 *
 * Only Sallyport's own Workers run at the date; the fakes around them keep theirs. Exit code 0 when all runs
 * pass.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { compatibilityDate } from "../dev/workers/configuration.ts";

interface Run {
  readonly name: "oldest" | "deployed" | "newest";
  readonly date: string;
  /** Flags that the code needs at this date, and that are default at later ones. */
  readonly flags: readonly string[];
}

/**
 * Before the last changes to WebSockets' defaults: `binaryType` (2026-03-17) and the automatic reply to a
 * close (2026-04-07). A run here proves that the code asks for what it needs and does not rely on a default.
 * At dates before 2026-03-03 workerd reports a rejection as unhandled although it is handled in the same
 * turn, so that test runs fail for no fault of the code.
 *
 * `Request.signal` is default from 2026-11-17 on. Without it a session whose client leaves before the cluster
 * has answered stays open until its idle limit.
 */
const OLDEST: Run = { name: "oldest", date: "2026-03-03", flags: ["enable_request_signal"] };

const require = createRequire(import.meta.url);

function readRuns(): Run[] {
  const deployed: Run = { name: "deployed", date: compatibilityDate(), flags: [] };
  // miniflare's own workerd, which is the one that the tests run in.
  const { compatibilityDate: date } = createRequire(require.resolve("miniflare"))("workerd") as {
    readonly compatibilityDate: string;
  };
  return [OLDEST, deployed, ...(date > deployed.date ? [{ name: "newest", date, flags: [] } as const] : [])];
}

/** @returns whether all tests passed */
async function runTests({ name, date, flags }: Run, args: readonly string[]): Promise<boolean> {
  console.log(`\n${name}: ${date}${flags.length > 0 ? ` with ${flags.join(", ")}` : ""}`);
  const vitest = join(dirname(require.resolve("vitest/package.json")), "vitest.mjs");
  const projects = ["--project", "workerd", "--project", "workerd-websocket", "--project", "workerd-edge"];
  const child = spawn(process.execPath, [vitest, "run", ...projects, ...args], {
    stdio: "inherit",
    env: {
      ...process.env,
      TEST_COMPATIBILITY_DATE: date,
      ...(flags.length > 0 && { TEST_COMPATIBILITY_FLAGS: flags.join(",") }),
    },
  });
  const [code] = await once(child, "exit");
  return code === 0;
}

const { values, positionals } = parseArgs({ options: { only: { type: "string" } }, allowPositionals: true });
if (values.only !== undefined && !["oldest", "deployed", "newest"].includes(values.only)) {
  console.error(`--only ${values.only} must be oldest, deployed or newest`);
  process.exit(2);
}
const runs = readRuns().filter(({ name }) => values.only === undefined || name === values.only);
if (runs.length === 0) console.log("newest: workerd has no later date than the deployed one, which other runs test");
const failed: string[] = [];
for (const run of runs) if (!(await runTests(run, positionals))) failed.push(`${run.name} (${run.date})`);
if (failed.length > 0) {
  console.error(
    `\nFAIL at ${failed.join(", ")}: find the flag in https://developers.cloudflare.com/workers/configuration/compatibility-flags/`,
  );
  process.exitCode = 1;
}
