import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { commaSeparated, flag, parsed } from "../../../command-line/options.ts";
import { readMigrations } from "../../../dev/stack/migrations.ts";
import { serviceTokenOf } from "../../deployment/access.ts";
import { readEndpoints } from "../../deployment/local-stack.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { placeholders } from "../../deployment/placeholders.ts";
import { MIGRATIONS, readPlan } from "../../deployment/project.ts";
import { PROJECT } from "../../deployment/project-files.ts";
import { type Check, type Dependencies, runChecks, selectChecks } from "../../doctor/check.ts";
import { deployedChecks } from "../../doctor/deployed-checks.ts";
import { localChecks } from "../../doctor/local-checks.ts";
import { describeResult, describeSummary, hasFailures } from "../../doctor/report.ts";
import { cloudflareApi } from "../../ports/cloudflare.ts";
import { nodeHttp } from "../../ports/http.ts";
import { kubectlProcess } from "../../ports/kubectl.ts";
import { type CommandContext, defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile, outputsFile, stateFolder } from "../shared-options.ts";

interface Target {
  readonly config: string;
  readonly outputs: string | undefined;
  readonly local: boolean;
  readonly state: string;
}

export const doctor = defineCommand({
  options: {
    config: deploymentFile,
    outputs: outputsFile,
    local: flag("check a local stack that runs (npm start) instead of a deployment"),
    state: stateFolder,
    only: parsed("IDS", "run only these checks, separated by commas: tunnel, or tunnel:prod", commaSeparated),
    json: flag("print the results as JSON"),
  },
  notes: [
    "Environment: CLOUDFLARE_API_TOKEN (reads the account), CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET (a service " +
      "token that may use the deployment), CF_ACCESS_TOKEN (an administrator's, for the check of webhooks), KUBECTL (path of " +
      "kubectl). A check whose credentials are not set is skipped.",
  ],
  run: async ({ only: ids = [], json, ...target }, context) => {
    const all = listChecks(target, context);
    const unknown = ids.filter((id) => selectChecks(all, [id]).length === 0);
    if (unknown.length > 0) {
      throw new UsageError(
        `--only ${unknown.join(",")}: no such check; the checks are ${all.map(({ id }) => id).join(", ")}`,
      );
    }
    const results = await runChecks(selectChecks(all, ids), (result) => {
      if (!json) context.print(describeResult(result));
    });
    context.print(json ? JSON.stringify({ results }, null, 2) : `\n${describeSummary(results)}`);
    return hasFailures(results) ? EXIT_CODES.failed : EXIT_CODES.done;
  },
});

/** @throws OperatorError where the deployment cannot be read, or no local stack runs */
function listChecks({ config, outputs, local, state }: Target, { env }: Pick<CommandContext, "env">): Check[] {
  const http = nodeHttp();
  const dependencies: Dependencies = {
    http,
    kubectl: kubectlProcess(),
    now: Date.now,
    wait: (ms) => wait(ms),
    nonce: () => randomBytes(6).toString("hex"),
    serviceToken: serviceTokenOf(env),
  };
  const migrations = readMigrations(join(PROJECT, MIGRATIONS));
  if (local) return localChecks(readEndpoints(state), migrations, env, dependencies);
  const plan = readPlan({ config, outputs });
  const missing = placeholders(plan);
  if (missing.length > 0) throw new OperatorError(`the deployment is not filled in:\n${missing.join("\n")}`);
  const { CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE_URL: api } = env;
  const cloudflare = token ? cloudflareApi(http, { account: plan.account, token, api }) : undefined;
  return deployedChecks({ plan, migrations, cloudflare, env }, dependencies);
}
