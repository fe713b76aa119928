/** The Worker's own document, made of the deployment file and of what Terraform made. Pure. */
import { type ConfigInput, configSchema } from "../../worker/config/schema.ts";
import type { DocumentOutputs } from "./outputs.ts";
import type { DeployedCluster, Deployment } from "./schema.ts";

/** What the Worker knows of a cluster; the rest of it here is for Terraform. */
const WORKERS_FIELDS: ReadonlySet<string> = new Set(Object.keys(configSchema.shape.clusters.unwrap().element.shape));

/** The Workers VPC binding of a cluster: `KUBE_API_PROD_EU` for `prod-eu`. */
export function bindingOf(cluster: string): string {
  return `KUBE_API_${cluster.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * Makes `SALLYPORT_CONFIG`. `loadConfig` has the last word on it.
 *
 * @throws RangeError where a service token that an identity rule names has no client id yet
 */
export function workerDocument(deployment: Deployment, outputs: DocumentOutputs): ConfigInput {
  const { access, clusters, sallyport } = deployment;
  const { identities, ...rest } = sallyport;
  const adminAudiences = outputs.admin_audiences ?? [outputs.admin_audience];
  const clientIds = new Map(Object.entries(outputs.service_token_client_ids ?? {}));
  const named = (rules: ConfigInput["identities"]) =>
    rules.map((rule) => withClientId(rule, access.serviceTokens, clientIds));
  return {
    access: {
      teamDomain: access.teamDomain,
      // A request to the admin API has the token of its own application only, and that must be let in first.
      audiences: [...(outputs.access_audiences ?? [outputs.access_audience]), ...adminAudiences],
      adminAudiences: [...adminAudiences],
      groups: access.groups,
    },
    clusters: clusters.map((cluster) => ({
      ...workersPart(cluster),
      binding: bindingOf(cluster.name),
      ...(cluster.identities !== undefined && { identities: named(cluster.identities) }),
    })),
    identities: named(identities),
    ...defined(rest),
  };
}

function workersPart(cluster: DeployedCluster): Pick<DeployedCluster, "name" | "hostnames" | "rules"> {
  const fields = Object.entries(defined(cluster)).filter(([name]) => WORKERS_FIELDS.has(name));
  return Object.fromEntries(fields) as DeployedCluster;
}

/** Puts the client id in place of a service token's name. One that is not made here is a client id already. */
function withClientId<Rule extends ConfigInput["identities"][number]>(
  rule: Rule,
  names: readonly string[],
  clientIds: ReadonlyMap<string, string>,
): Rule {
  const { serviceToken } = rule.match;
  if (serviceToken === undefined || !names.includes(serviceToken)) return rule;
  const clientId = clientIds.get(serviceToken);
  if (clientId === undefined)
    throw new RangeError(`the service token ${serviceToken} has no client id: apply the edge stack`);
  return { ...rule, match: { ...rule.match, serviceToken: clientId } };
}

function defined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
