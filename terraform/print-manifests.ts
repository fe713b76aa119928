/**
 * `npm run manifests`: prints what a cluster holds of Sallyport, for teams who apply by GitOps. The tunnel's token is not in
 * it: the objects refer to a Secret, and the note says how to make that.
 */
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { runTool } from "./command-line.ts";
import { DEFAULT_DEPLOYMENT_FILE, DeploymentError, loadDeployment } from "./config/load.ts";
import { connectorManifests } from "./manifests/connector.ts";
import { namespaceOf, TOKEN_SECRET } from "./manifests/names.ts";

const USAGE = `Usage: npm run manifests -- --cluster NAME [options]

  --cluster NAME  one of the deployment's clusters
  --config FILE   the deployment file. Default: ${DEFAULT_DEPLOYMENT_FILE}
  --json          a List as JSON, in place of YAML documents
  --help          this text
`;

await runTool(USAGE, async () => {
  const { values } = parseArgs({
    allowPositionals: false,
    options: {
      cluster: { type: "string" },
      config: { type: "string", default: DEFAULT_DEPLOYMENT_FILE },
      json: { type: "boolean", default: false },
    },
  });
  const { cluster: name, config, json } = values;
  if (name === undefined) throw new Error("--cluster NAME says for which cluster");
  return async () => {
    const deployment = loadDeployment(config, (words) => process.stderr.write(`note: ${words}\n`));
    const cluster = deployment.clusters.find((one) => one.name === name);
    if (!cluster) {
      const names = deployment.clusters.map((one) => one.name).join(", ");
      throw new DeploymentError(`${config} has no cluster ${name}; it has ${names}`);
    }
    const items = connectorManifests(deployment, cluster);
    process.stdout.write(
      json
        ? `${JSON.stringify({ apiVersion: "v1", kind: "List", items }, null, 2)}\n`
        : items.map((item) => `---\n${stringify(item, { lineWidth: 0, aliasDuplicateObjects: false })}`).join(""),
    );
    const secret = `the Secret ${TOKEN_SECRET.name} in the namespace ${namespaceOf(deployment, cluster)}`;
    process.stderr.write(
      `note: the pods wait for ${secret}, key ${TOKEN_SECRET.key}: the tunnel's token, ${name} in the edge stack's output tunnel_tokens\n`,
    );
  };
});
