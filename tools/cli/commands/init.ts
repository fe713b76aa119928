import { existsSync, writeFileSync } from "node:fs";
import { oneOf, parsed, requiredParsed, text, textWithDefault } from "../../../command-line/options.ts";
import { err, ok } from "../../../common/result.ts";
import { DeploymentError, parseDeployment } from "../../../terraform/config/load.ts";
import { RECORD_LOCATIONS } from "../../../terraform/config/schema.ts";
import { draftDeployment, FIRST_GROUP, formatDeployment } from "../../deployment/init.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { nodeHttp } from "../../ports/http.ts";
import { kubectlProcess } from "../../ports/kubectl.ts";
import { defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile } from "../shared-options.ts";

const hostname = (given: string) =>
  /^([a-z0-9-]+\.)+[a-z]{2,}$/.test(given) ? ok(given) : err("must be a host name such as prod.k8s.example.com");
const email = (given: string) =>
  /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(given) ? ok(given) : err("must be an email address");

export const init = defineCommand({
  options: {
    hostname: requiredParsed("NAME", "host name of the first cluster, of a zone in your account", hostname),
    admin: requiredParsed("EMAIL", "your address: the first person who gets in, and the first administrator", email),
    "email-domain": text("DOMAIN", "Access admits everybody with an address of this domain (default: only --admin)"),
    cluster: text("NAME", "name of the cluster (default: the host name's first label)"),
    name: textWithDefault("NAME", "name of the deployment, and prefix of all other names", "sallyport"),
    kubeconfig: textWithDefault(
      "FILE",
      "the cluster administrator's kubeconfig, absolute or from ~/",
      "~/.kube/config",
    ),
    context: text("NAME", "context in it (default: the current one)"),
    location: parsed("PLACE", "where logs and recordings are kept", oneOf(...RECORD_LOCATIONS), "weur"),
    config: deploymentFile,
  },
  notes: [
    "Environment: CLOUDFLARE_API_TOKEN, from which the account and the team domain follow (docs/DEPLOY.md), and KUBECTL " +
      "(path of kubectl). The addresses of the API server come from the cluster. It changes nothing but the deployment file.",
  ],
  run: async ({ config, ...values }, { env, print }) => {
    const { CLOUDFLARE_API_TOKEN: token, CLOUDFLARE_API_BASE_URL: api } = env;
    if (!token) throw new OperatorError("set CLOUDFLARE_API_TOKEN: docs/DEPLOY.md lists its permissions");
    if (existsSync(config)) throw new OperatorError(`${config} exists: edit it, or give another --config`);
    const { hostname, admin, kubeconfig } = values;
    if (!/^(~?\/)./.test(kubeconfig)) throw new UsageError("--kubeconfig must begin with / or ~/");
    const deployment = await draftDeployment(
      {
        ...{ name: values.name, hostname, admin, location: values.location },
        cluster: values.cluster ?? hostname.split(".")[0] ?? "",
        emailDomain: values["email-domain"],
        kubeconfig: { path: kubeconfig, context: values.context },
      },
      { http: nodeHttp(), kubectl: kubectlProcess(), token, api },
    );
    const content = formatDeployment(deployment);
    try {
      parseDeployment(content, config);
    } catch (error) {
      if (error instanceof DeploymentError) throw new OperatorError(error.message);
      throw error;
    }
    writeFileSync(config, content, { flag: "wx" });
    print(`Wrote ${config}. ${admin} is in the group ${FIRST_GROUP} there, which needs a RoleBinding in the cluster.`);
    return EXIT_CODES.done;
  },
});
