/**
 * `npm run doctor`: looks at a deployment from outside, through Cloudflare's API and in its clusters, and says what to mend.
 * It changes nothing.
 *
 *   npm run doctor -- [--config FILE] [--outputs FILE] [--json] [--only tunnel,impersonation:prod]
 *   npm run doctor -- --local [--state DIR]
 *
 * Exit code 0 when nothing is to be mended, 1 when something is, 2 when it could not run.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { readMigrations } from "../dev/stack/migrations.ts";
import { serviceTokenOf } from "./deployment/access.ts";
import { errorMessage, OperatorError } from "./deployment/operator-error.ts";
import { placeholders } from "./deployment/placeholders.ts";
import { MIGRATIONS, PROJECT, readPlan } from "./deployment/project.ts";
import { type Check, type Dependencies, runChecks, select } from "./doctor/check.ts";
import { deployedChecks } from "./doctor/deployed.ts";
import { localChecks, readEndpoints } from "./doctor/local.ts";
import { describeResult, describeSummary, exitCode } from "./doctor/report.ts";
import { cloudflareApi } from "./ports/cloudflare.ts";
import { nodeHttp } from "./ports/http.ts";
import { kubectlProcess } from "./ports/kubectl.ts";

const USAGE = `Usage: npm run doctor [-- options]

  --config FILE   the deployment file. Default: deployment.jsonc
  --outputs FILE  what "terraform output -json" printed for the edge stack. Default: Terraform is asked
  --local         a local stack that runs (npm start), in place of a deployment
  --state DIR     its state folder. Default: .sallyport
  --only IDS      these checks only, separated by commas: tunnel, or tunnel:prod
  --json          for programs

From the environment: CLOUDFLARE_API_TOKEN (reads the account), CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET (a service
token that may use the deployment), KUBECTL. What needs one that is not set is skipped, and says so.
`;

function readFlags() {
  const { values } = parseArgs({
    options: {
      config: { type: "string" },
      outputs: { type: "string" },
      local: { type: "boolean", default: false },
      state: { type: "string", default: ".sallyport" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return values;
}
type Flags = ReturnType<typeof readFlags>;

function listChecks(flags: Flags): Check[] {
  const { env } = process;
  const http = nodeHttp();
  const ports: Dependencies = {
    http,
    kubectl: kubectlProcess(),
    now: Date.now,
    wait: (ms) => wait(ms),
    nonce: () => randomBytes(6).toString("hex"),
    serviceToken: serviceTokenOf(env),
  };
  const migrations = readMigrations(join(PROJECT, MIGRATIONS));
  if (flags.local) return localChecks(readEndpoints(flags.state), migrations, env, ports);
  const plan = readPlan(flags);
  const missing = placeholders(plan);
  if (missing.length > 0) throw new OperatorError(`not everything is filled in:\n${missing.join("\n")}`);
  const { CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE_URL: api } = env;
  const cloudflare = token ? cloudflareApi(http, { account: plan.account, token, api }) : undefined;
  return deployedChecks({ plan, migrations, cloudflare, env }, ports);
}

async function run(flags: Flags): Promise<0 | 1> {
  const all = listChecks(flags);
  const only = flags.only.split(",").filter((id) => id !== "");
  const unknown = only.filter((id) => select(all, [id]).length === 0);
  if (unknown.length > 0) {
    throw new OperatorError(`there is no check ${unknown.join(", ")}; there are ${all.map(({ id }) => id).join(", ")}`);
  }
  const results = await runChecks(select(all, only), (result) => {
    if (!flags.json) console.log(describeResult(result));
  });
  console.log(flags.json ? JSON.stringify({ results }, null, 2) : `\n${describeSummary(results)}`);
  return exitCode(results);
}

try {
  const flags = readFlags();
  if (flags.help) console.log(USAGE);
  else process.exitCode = await run(flags);
} catch (error) {
  const isMisuse = error instanceof TypeError && "code" in error;
  console.error(error instanceof OperatorError || isMisuse ? `doctor: ${errorMessage(error)}` : error);
  process.exitCode = 2;
}
