/**
 * `npm run policy:explain`: what would become of a request, and by which rules. Asks nobody and sends nothing.
 *
 *   npm run policy:explain -- --as alice@example.com 'GET /api/v1/namespaces/demo/pods/shell/exec?command=sh'
 *
 * Exit code 0 when it would be let through, 1 when it would be refused, 2 for a mistake in the question.
 */
import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { unstable_readConfig } from "wrangler";
import { loadDeployment } from "../terraform/config/load.ts";
import type { Deployment } from "../terraform/config/schema.ts";
import { workerDocument } from "../terraform/config/worker-document.ts";
import { ConfigError, loadConfig } from "../worker/config/load.ts";
import { joinConfigVariables } from "../worker/config/variables.ts";
import { explain, type Question } from "./explain.ts";

const USAGE = `Usage: npm run policy:explain -- --as WHO [options] 'METHOD PATH'

  --as WHO            an email address, or service:COMMON_NAME
  --claim NAME=VALUE  a claim of the token, dotted for nested ones; may be given several times
  --group NAME        a group of the identity provider; may be given several times
  --posture NAME      a device posture check that succeeded; may be given several times
  --country CODE      where the request comes from, as in DE
  --host NAME         the host that is asked, where there are several clusters. Default: the first cluster's
  --upgrade NAME      websocket, SPDY/3.1 or none. Default: websocket where the path opens a session
  --config FILE       a SALLYPORT_CONFIG document as JSON
                      otherwise: that of the last npm run deploy (--dry-run will do), else what deployment.jsonc, or
                      the example, is to become
`;

function readFlags() {
  return parseArgs({
    allowPositionals: true,
    options: {
      as: { type: "string" },
      claim: { type: "string", multiple: true, default: [] },
      group: { type: "string", multiple: true, default: [] },
      posture: { type: "string", multiple: true, default: [] },
      country: { type: "string" },
      host: { type: "string" },
      upgrade: { type: "string" },
      config: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

/** What `npm run deploy` writes. */
const DEPLOYED = "terraform/out/wrangler.json";
const DEPLOYMENT = "deployment.jsonc";
const EXAMPLE = "terraform/deployment.example.jsonc";

function readDocument(file: string | undefined): unknown {
  if (file !== undefined) return readFileSync(file, "utf8");
  if (existsSync(DEPLOYED))
    return joinConfigVariables(unstable_readConfig({ config: DEPLOYED }, { hideWarnings: true }).vars);
  const planned = existsSync(DEPLOYMENT) ? DEPLOYMENT : EXAMPLE;
  process.stderr.write(`Nothing was deployed from here; this is what ${planned} says.\n`);
  return plannedDocument(loadDeployment(planned));
}

/** Without Terraform's outputs. A service token that it is to make goes by its name there: `--as service:ci`. */
function plannedDocument(deployment: Deployment): unknown {
  const audience = "none-yet";
  return workerDocument(deployment, {
    ...{ access_audience: audience, admin_audience: audience },
    service_token_client_ids: Object.fromEntries(deployment.access.serviceTokens.map((name) => [name, name])),
  });
}

/** @throws Error in words where the question cannot be understood */
function readQuestion({ values, positionals }: ReturnType<typeof readFlags>): Question {
  const [asked, ...more] = positionals;
  const [, method = "", target = ""] = /^(\S+)\s+(\/\S*)$/.exec(asked ?? "") ?? [];
  if (values.as === undefined || target === "" || more.length > 0) throw new Error(USAGE);
  const claims = values.claim.map((claim): [string, string] => {
    const at = claim.indexOf("=");
    if (at < 1) throw new Error(`--claim ${claim} must look like NAME=VALUE`);
    return [claim.slice(0, at), claim.slice(at + 1)];
  });
  const { as: who, group: groups, posture, country, host, upgrade } = values;
  return { who, claims, groups, posture, country, host, upgrade, method, target };
}

try {
  const flags = readFlags();
  if (flags.values.help) {
    console.log(USAGE);
  } else {
    const question = readQuestion(flags);
    const config = loadConfig(readDocument(flags.values.config), (words) => console.error(words));
    const { lines, isAllowed } = explain(question, config);
    console.log(lines.join("\n"));
    process.exitCode = isAllowed ? 0 : 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  if (error instanceof ConfigError) console.error("Mend the document first.");
  process.exitCode = 2;
}
