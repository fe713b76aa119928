import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { flag, text } from "../../../command-line/options.ts";
import { connectorManifests } from "../../../terraform/manifests/connector.ts";
import { namespaceOf, TOKEN_SECRET } from "../../../terraform/manifests/names.ts";
import { manifestsAsJson, manifestsAsYaml } from "../../../terraform/manifests/render.ts";
import { findCluster, readDeployment } from "../../deployment/project.ts";
import { defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile } from "../shared-options.ts";

export const manifests = defineCommand({
  options: {
    cluster: text("NAME", "a cluster of the deployment file"),
    all: flag("write the objects of every cluster to DIR/CLUSTER.yaml, instead of printing one's"),
    out: text("DIR", "folder for --all"),
    config: deploymentFile,
    json: flag("print one List as JSON instead of YAML documents"),
  },
  run: async ({ cluster: name, all, out, config, json }, { print, note }) => {
    if ((name === undefined) !== all) throw new UsageError("give --cluster NAME or --all");
    if (all !== (out !== undefined)) throw new UsageError("--all and --out go together");
    const deployment = readDeployment(config, note);
    if (name === undefined) {
      for (const cluster of deployment.clusters) {
        const file = join(out ?? "", `${cluster.name}.${json ? "json" : "yaml"}`);
        const objects = connectorManifests(deployment, cluster);
        writeFileSync(file, json ? manifestsAsJson(objects) : manifestsAsYaml(objects));
        print(file);
      }
      return EXIT_CODES.done;
    }
    const cluster = findCluster(deployment, name);
    const objects = connectorManifests(deployment, cluster);
    print((json ? manifestsAsJson(objects) : manifestsAsYaml(objects)).trimEnd());
    note(
      `the pods wait for the Secret ${TOKEN_SECRET.name} in the namespace ${namespaceOf(deployment, cluster)}, ` +
        `key ${TOKEN_SECRET.key}: the tunnel's token, which "npx sallyport secret --tunnel ${name}" prints`,
    );
    return EXIT_CODES.done;
  },
});
