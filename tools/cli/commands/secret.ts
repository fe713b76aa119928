import { join } from "node:path";
import * as z from "zod";
import { text } from "../../../command-line/options.ts";
import { SECRETS_STACK, serviceTokenAddress } from "../../../terraform/config/stack-names.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { readDeployment, readPlan } from "../../deployment/project.ts";
import { outFolder, projectFile } from "../../deployment/project-files.ts";
import { readStackState } from "../../deployment/stack-state.ts";
import { cloudflareApi } from "../../ports/cloudflare.ts";
import { nodeHttp } from "../../ports/http.ts";
import { type CommandContext, defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile, outputsFile } from "../shared-options.ts";

export const secret = defineCommand({
  options: {
    "service-token": text("NAME", "a service token of the deployment file: prints its two variables"),
    tunnel: text("CLUSTER", "a cluster's tunnel: prints its token"),
    out: text("DIR", "folder of the generated JSON (default: terraform/out/NAME)"),
    config: deploymentFile,
    outputs: outputsFile,
  },
  notes: [
    "A service token is read from the state of the stack secrets, by Terraform. A tunnel's token is asked of Cloudflare, with " +
      "CLOUDFLARE_API_TOKEN (Cloudflare Tunnel Read). Redirect the output to where it belongs: it is nowhere else.",
  ],
  run: async ({ "service-token": token, tunnel, out, config, outputs }, context) => {
    if ((token === undefined) === (tunnel === undefined)) throw new UsageError("give --service-token or --tunnel");
    context.print(
      token === undefined
        ? await tunnelToken(tunnel ?? "", { config, outputs }, context)
        : readServiceToken(token, config, out),
    );
    return EXIT_CODES.done;
  },
});

const tokenSchema = z.object({ client_id: z.string(), client_secret: z.string() });

/** @returns lines for an environment file, with the names that cloudflared and `sallyport doctor` use */
function readServiceToken(name: string, config: string, out: string | undefined): string {
  const deployment = readDeployment(config);
  const token = deployment.access.serviceTokens.find((each) => each.name === name);
  if (!token) throw new OperatorError(`the deployment file has no service token ${name}`);
  const folder = join(out ?? projectFile(outFolder(deployment.name)), "stacks", SECRETS_STACK);
  const values = readStackState(folder).get(serviceTokenAddress(name));
  if (!values) throw new OperatorError(`the stack secrets has no service token ${name}: apply it`);
  const found = tokenSchema.safeParse(values);
  if (!found.success) {
    throw new OperatorError(
      `Terraform does not know the secret of the service token ${name}, because it was imported: Cloudflare shows a secret ` +
        "once only. Whoever has it can go on using it. For a new one, set its secretVersion in access.serviceTokens to " +
        `${(token.secretVersion ?? 1) + 1} (and previousSecretUntil, until when the present one is accepted), and apply the ` +
        "stack secrets",
    );
  }
  const { client_id, client_secret } = found.data;
  return `CF_ACCESS_CLIENT_ID=${client_id}\nCF_ACCESS_CLIENT_SECRET=${client_secret}`;
}

async function tunnelToken(
  name: string,
  files: { readonly config: string; readonly outputs: string | undefined },
  { env }: Pick<CommandContext, "env">,
): Promise<string> {
  const plan = readPlan(files);
  const cluster = plan.clusters.find((each) => each.name === name);
  if (!cluster) throw new OperatorError(`the deployment file has no cluster ${name}`);
  const { CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE_URL: api } = env;
  if (!token) throw new OperatorError("set CLOUDFLARE_API_TOKEN to a token with Cloudflare Tunnel Read");
  const cloudflare = cloudflareApi(nodeHttp(), { account: plan.account, token, api });
  return cloudflare.get(`cfd_tunnel/${cluster.tunnelId}/token`, z.string());
}
