import { existsSync, readFileSync } from "node:fs";
import { unstable_readConfig } from "wrangler";
import { DEFAULT_DEPLOYMENT_FILE } from "../../terraform/config/load.ts";
import type { Deployment } from "../../terraform/config/schema.ts";
import { serviceTokenNames } from "../../terraform/config/service-tokens.ts";
import { workerDocument } from "../../terraform/config/worker-document.ts";
import { joinConfigVariables } from "../../worker/config/variables.ts";
import { OperatorError } from "../deployment/operator-error.ts";
import { readDeployment } from "../deployment/project.ts";
import { findGenerated, projectFile } from "../deployment/project-files.ts";

const EXAMPLE = "terraform/deployment.example.jsonc";

/**
 * Reads the Worker's configuration document, unparsed.
 *
 * @param file undefined: that of the last deploy or dry run; without one, what the deployment file would
 *   deploy
 * @param note is told which file stands in for a deploy that has not been made
 */
export function readConfigDocument(file: string | undefined, note: (line: string) => void): unknown {
  if (file !== undefined) return readText(file);
  const deployed = findGenerated("wrangler.json");
  if (deployed !== undefined) {
    return joinConfigVariables(unstable_readConfig({ config: deployed }, { hideWarnings: true }).vars);
  }
  const own = projectFile(DEFAULT_DEPLOYMENT_FILE);
  const planned = existsSync(own) ? own : projectFile(EXAMPLE);
  note(`nothing was deployed from this checkout; this explains what ${planned} would deploy`);
  return plannedDocument(readDeployment(planned));
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new OperatorError(`cannot read ${file} (${code})`);
  }
}

/**
 * Without Terraform's outputs. A service token that Terraform creates is known by its name: `--as
 * service:ci`.
 */
function plannedDocument(deployment: Deployment): unknown {
  const audience = "not-applied-yet";
  return workerDocument(deployment, {
    access_audience: audience,
    admin_audience: audience,
    service_token_client_ids: Object.fromEntries(serviceTokenNames(deployment).map((name) => [name, name])),
  });
}
