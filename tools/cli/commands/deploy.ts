import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { duration, flag, parsed, text, texts } from "../../../command-line/options.ts";
import { readWebhooksFile, withAddress } from "../../../dev/stack/webhooks-file.ts";
import { parseWebhooks, WEBHOOKS_SECRET } from "../../../durable/notifications/configuration.ts";
import { deploy as runDeploy } from "../../deploy/deploy.ts";
import { DEPLOYED_FILE, DRY_RUN_FILE, formatDeployed, readDeployed } from "../../deploy/deployed-tags.ts";
import {
  codeUpdateDelaySeconds,
  edgeConfiguration,
  objectsConfiguration,
} from "../../deploy/wrangler-configuration.ts";
import { serviceTokenOf } from "../../deployment/access.ts";
import { ADMIN_CREDENTIALS_NOTE, adminApiOf, adminCredentialsOf } from "../../deployment/admin-api.ts";
import { drainSwitch } from "../../deployment/drain-switch.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { placeholders } from "../../deployment/placeholders.ts";
import { hostsOf, type Plan } from "../../deployment/plan.ts";
import { MIGRATIONS, readPlan } from "../../deployment/project.ts";
import { outFolder, PROJECT, projectFile } from "../../deployment/project-files.ts";
import { cloudflareApi } from "../../ports/cloudflare.ts";
import { nodeHttp } from "../../ports/http.ts";
import { wranglerProcess } from "../../ports/wrangler.ts";
import { defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { interruptible } from "../interruptible.ts";
import { deploymentFile, outputsFile } from "../shared-options.ts";

/** How long a drain waits for live sessions, if nobody says. */
const DEFAULT_WAIT = "30m";
const DEFAULT_WAIT_MS = 30 * 60_000;

export const deploy = defineCommand({
  options: {
    config: deploymentFile,
    outputs: outputsFile,
    "dry-run": flag("write the wrangler configurations, bundle, and list what would be done; needs no account"),
    against: text("FILE", `with --dry-run: compare with what an earlier deploy wrote to ${DEPLOYED_FILE}`),
    drain: flag("refuse new sessions meanwhile, and wait for live ones, if the objects are deployed"),
    "drain-wait": parsed("TIME", `with --drain: how long to wait for live sessions (${DEFAULT_WAIT})`, duration),
    "with-objects": flag("deploy the objects although they are unchanged"),
    webhooks: text("FILE", "JSON with whom to tell of events, for the objects' secret SALLYPORT_WEBHOOKS"),
    "end-sessions": flag("cut live sessions when the objects are deployed, instead of letting them end"),
    rollback: flag("deploy this checkout over a database that a newer one has migrated"),
    "take-over": texts("NAME", "a host name that the deploy may take from another Worker or DNS record"),
    "migrate-by-statement": flag("apply D1 migrations one statement at a time, where D1 splits a file wrongly"),
    "skip-smoke": flag("skip the check after the deploy"),
  },
  notes: [
    "With a service token in CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, the check after the deploy also looks " +
      "behind Access.",
    `With --drain: ${ADMIN_CREDENTIALS_NOTE}`,
  ],
  run: async (values, { env, print, note }) => {
    const { config, outputs, rollback, "dry-run": dryRun, "skip-smoke": skipSmoke } = values;
    if (values.against !== undefined && !dryRun) {
      throw new UsageError("--against goes with --dry-run: a deploy asks the account what it runs");
    }
    if (values["drain-wait"] !== undefined && !values.drain) throw new UsageError("--drain-wait goes with --drain");
    const drainMs = values.drain ? (values["drain-wait"] ?? DEFAULT_WAIT_MS) : undefined;
    const plan = readPlan({ config, outputs, mayHaveGaps: dryRun }, note);
    const webhooks = values.webhooks === undefined ? undefined : readWebhooks(values.webhooks, plan);
    const against = values.against === undefined ? undefined : readDeployed(values.against, plan);
    // wrangler takes seconds to load: help and mistakes do not wait for it.
    const { readProjectConfiguration } = await import("../../deploy/project-configuration.ts");
    const { readMigrations } = await import("../../../dev/stack/migrations.ts");
    const project = readProjectConfiguration(PROJECT);
    const out = outFolder(plan.name);
    const toProject = relative(projectFile(out), PROJECT);
    const edge = edgeConfiguration(plan, project, toProject);
    const objects = objectsConfiguration(plan, project, toProject);
    const edgeFile = write(join(out, "wrangler.json"), toJson(edge));
    const objectsFile = write(join(out, "wrangler-objects.json"), toJson(objects));
    print(`Wrote ${edgeFile} and ${objectsFile}.`);
    const http = nodeHttp();
    const credentials = adminCredentialsOf(env);
    await runDeploy(
      {
        plan,
        placeholders: placeholders(plan),
        edge: { name: edge.name, configuration: edge, wrangler: wranglerProcess(edgeFile) },
        objects: { name: objects.name, configuration: objects, wrangler: wranglerProcess(objectsFile) },
        codeUpdateDelaySeconds: codeUpdateDelaySeconds(plan),
        databaseBinding: project.database.binding,
        migrations: readMigrations(join(PROJECT, MIGRATIONS)),
        serviceToken: serviceTokenOf(env),
      },
      {
        dryRun,
        against,
        skipSmoke,
        rollback,
        takeOver: values["take-over"],
        byStatement: values["migrate-by-statement"],
        withObjects: values["with-objects"],
        endSessions: values["end-sessions"],
        objectsSecrets: webhooks === undefined ? undefined : { [WEBHOOKS_SECRET]: webhooks },
        drainMs,
      },
      {
        http,
        interruptible,
        drain: credentials && drainSwitch(http, adminApiOf(plan, credentials)),
        cloudflare: (token) =>
          cloudflareApi(http, { account: plan.account, token, api: env["CLOUDFLARE_API_BASE_URL"] }),
        now: Date.now,
        wait: (ms) => wait(ms),
        print,
        save: (tags) => void write(join(out, dryRun ? DRY_RUN_FILE : DEPLOYED_FILE), formatDeployed(plan, tags)),
      },
    );
    return EXIT_CODES.done;
  },
});

/** @throws OperatorError with the file's faults, of which the objects would tell their log alone */
function readWebhooks(file: string, plan: Plan): string {
  const read = readWebhooksFile(file);
  if (!read.ok) throw new OperatorError(read.error);
  const [host] = hostsOf(plan).filter(({ isForPeople }) => isForPeople);
  const text = host === undefined ? read.value : withAddress(read.value, `https://${host.hostname}`);
  const parsed = parseWebhooks(text);
  if (!parsed.ok) throw new OperatorError(`${file}: ${parsed.error.join("; ")}`);
  return text;
}

/** @param path from the project's top; @returns it from the current folder */
function write(path: string, content: string): string {
  const file = projectFile(path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function toJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
