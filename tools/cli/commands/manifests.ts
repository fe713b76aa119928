import { connectorManifests } from "../../../terraform/manifests/connector.ts";
import { namespaceOf, TOKEN_SECRET } from "../../../terraform/manifests/names.ts";
import { manifestsAsJson, manifestsAsYaml } from "../../../terraform/manifests/render.ts";
import { findCluster, readDeployment } from "../../deployment/project.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { flag, requiredText } from "../options.ts";
import { deploymentFile } from "../shared-options.ts";

export const manifests = defineCommand({
  options: {
    cluster: requiredText("NAME", "a cluster of the deployment file"),
    config: deploymentFile,
    json: flag("print one List as JSON instead of YAML documents"),
  },
  run: async ({ cluster: name, config, json }, { print, note }) => {
    const deployment = readDeployment(config, note);
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
