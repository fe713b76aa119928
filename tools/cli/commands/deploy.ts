import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { deploy as runDeploy } from "../../deploy/deploy.ts";
import { edgeConfiguration, objectsConfiguration } from "../../deploy/wrangler-configuration.ts";
import { serviceTokenOf } from "../../deployment/access.ts";
import { placeholders } from "../../deployment/placeholders.ts";
import { migrationNames, readPlan } from "../../deployment/project.ts";
import { PROJECT, projectFile } from "../../deployment/project-files.ts";
import { nodeHttp } from "../../ports/http.ts";
import { wranglerProcess } from "../../ports/wrangler.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { duration, flag, parsed } from "../options.ts";
import { deploymentFile, outputsFile } from "../shared-options.ts";

/** Where `synth` writes; the generated wrangler configurations lie beside its stacks. */
const OUT = "terraform/out";

export const deploy = defineCommand({
  options: {
    config: deploymentFile,
    outputs: outputsFile,
    "dry-run": flag("write the wrangler configuration, bundle, and list what would be done; needs no account"),
    "drain-wait": parsed("TIME", "wait so long (90s, 30m, 2h) for live sessions to end before deploying", duration),
    rollback: flag("deploy this checkout over a database that a newer one has migrated"),
    "skip-smoke": flag("skip the check after the deploy"),
  },
  notes:
    "With a service token in CF_ACCESS_CLIENT_ID and CF_ACCESS_CLIENT_SECRET, the check after the deploy also looks\n" +
    "behind Access.",
  run: async (values, { env, print, note }) => {
    const { config, outputs, rollback, "dry-run": dryRun, "skip-smoke": skipSmoke, "drain-wait": drainMs } = values;
    const plan = readPlan({ config, outputs, mayHaveGaps: dryRun }, note);
    // wrangler takes seconds to load: help and mistakes do not wait for it.
    const { readProjectConfiguration } = await import("../../deploy/project-configuration.ts");
    const project = readProjectConfiguration(PROJECT);
    const toProject = relative(projectFile(OUT), PROJECT);
    const edgeFile = writeConfiguration("wrangler.json", edgeConfiguration(plan, project, toProject));
    const objectsFile = writeConfiguration("wrangler-objects.json", objectsConfiguration(plan, project, toProject));
    await runDeploy(
      {
        plan,
        placeholders: placeholders(plan),
        configurations: [edgeFile, objectsFile],
        databaseBinding: project.database.binding,
        migrations: migrationNames(),
        serviceToken: serviceTokenOf(env),
      },
      { dryRun, skipSmoke, rollback, drainMs },
      {
        edge: wranglerProcess(edgeFile),
        objects: wranglerProcess(objectsFile),
        http: nodeHttp(),
        now: Date.now,
        wait: (ms) => wait(ms),
        print,
      },
    );
    return EXIT_CODES.done;
  },
});

/** @returns the file's path */
function writeConfiguration(name: string, configuration: object): string {
  const file = projectFile(join(OUT, name));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(configuration, null, 2)}\n`);
  return file;
}
