/** The Worker's configuration, made from the deployment file and the edge stack's outputs. Pure. */
import { type ConfigInput, configSchema } from "../../worker/config/schema.ts";
import type { DocumentOutputs } from "./outputs.ts";
import type { DeployedCluster, Deployment } from "./schema.ts";

/** The fields of a cluster that the Worker's configuration has. The others are for Terraform. */
const WORKERS_FIELDS: ReadonlySet<string> = new Set(Object.keys(configSchema.shape.clusters.unwrap().element.shape));

/** The Workers VPC binding of a cluster: `KUBE_API_PROD_EU` for `prod-eu`. */
export function bindingOf(cluster: string): string {
  return `KUBE_API_${cluster.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * Makes `SALLYPORT_CONFIG`. `loadConfig` validates it.
 *
 * @throws RangeError where an identity rule names a service token that has no client id yet
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
      // A request to the admin API carries only its own application's token, which must be accepted as well.
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

/** Replaces a service token's name by its client id. A name that is not in `access.serviceTokens` is a client id. */
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
