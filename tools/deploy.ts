/**
 * `npm run deploy`: D1 migrations, the Worker, a smoke check.
 *
 *   npm run deploy -- [--config FILE] [--outputs FILE] [--dry-run] [--skip-smoke] [--drain-wait 30m] [--rollback]
 *
 * Exit code 0 when all is deployed, 1 when a step failed, 2 for a mistake in the command.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { deploy } from "./deploy/deploy.ts";
import { parseDuration } from "./deploy/drain.ts";
import { readProjectConfiguration } from "./deploy/project-configuration.ts";
import { wranglerConfiguration } from "./deploy/wrangler-configuration.ts";
import { serviceTokenOf } from "./deployment/access.ts";
import { runCommand } from "./deployment/command.ts";
import { placeholders } from "./deployment/placeholders.ts";
import { migrationNames, OUT, PROJECT, readPlan } from "./deployment/project.ts";
import { nodeHttp } from "./ports/http.ts";
import { wranglerProcess } from "./ports/wrangler.ts";

const USAGE = `Usage: npm run deploy [-- options]

  --config FILE      the deployment file. Default: deployment.jsonc
  --outputs FILE     what "terraform output -json" printed for the edge stack. Default: Terraform is asked
  --dry-run          writes the wrangler configuration, bundles the Worker, and lists what would be done; needs no account
  --drain-wait TIME  before the Worker is replaced, waits so long (90s, 30m, 2h) for live sessions to end
  --rollback         lets this checkout go over a database that a newer one has migrated
  --skip-smoke       looks at nothing afterwards

The service token in CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, if any, lets the smoke check through Access.
`;

const CONFIGURATION = join(OUT, "wrangler.json");

function readFlags() {
  const { values } = parseArgs({
    options: {
      config: { type: "string" },
      outputs: { type: "string" },
      "dry-run": { type: "boolean", default: false },
      "drain-wait": { type: "string" },
      rollback: { type: "boolean", default: false },
      "skip-smoke": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const drain = values["drain-wait"];
  const drainMs = drain === undefined ? undefined : parseDuration(drain);
  if (drain !== undefined && drainMs === undefined)
    throw new TypeError(`--drain-wait ${drain} must look like 90s, 30m or 2h`);
  return { ...values, drainMs };
}

async function run(flags: ReturnType<typeof readFlags>): Promise<void> {
  const plan = readPlan({ ...flags, mayHaveGaps: flags["dry-run"] }, (words) => console.error(`Note: ${words}`));
  const project = readProjectConfiguration(join(PROJECT, "wrangler.jsonc"));
  const file = join(PROJECT, CONFIGURATION);
  const configuration = wranglerConfiguration(plan, project, relative(dirname(file), PROJECT));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`);
  await deploy(
    {
      plan,
      placeholders: placeholders(plan),
      configuration: CONFIGURATION,
      databaseBinding: project.database.binding,
      migrations: migrationNames(),
      serviceToken: serviceTokenOf(process.env),
    },
    { dryRun: flags["dry-run"], skipSmoke: flags["skip-smoke"], rollback: flags.rollback, drainMs: flags.drainMs },
    {
      wrangler: wranglerProcess(file),
      http: nodeHttp(),
      now: Date.now,
      wait: (ms) => wait(ms),
      print: (line) => console.log(line),
    },
  );
}

await runCommand({ name: "deploy", usage: USAGE, read: readFlags, run });
