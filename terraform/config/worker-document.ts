/** The Worker's configuration, made from the deployment file and the edge stack's outputs. Pure. */
import { type ConfigInput, configSchema } from "../../worker/config/schema.ts";
import { namespaceOf } from "../manifests/names.ts";
import type { DocumentOutputs } from "./outputs.ts";
import type { DeployedCluster, Deployment } from "./schema.ts";
import { allHostnamesOf, serviceTokenNames } from "./service-tokens.ts";

/** The fields of a cluster that the Worker's configuration has. The others are for Terraform. */
const WORKERS_FIELDS: ReadonlySet<string> = new Set(Object.keys(configSchema.shape.clusters.unwrap().element.shape));

/** The Workers VPC binding of a cluster: `KUBE_API_PROD_EU` for `prod-eu`. */
export function bindingOf(cluster: string): string {
  return `KUBE_API_${cluster.toUpperCase().replaceAll("-", "_")}`;
}

/**
 * The objects' binding of a cluster's TCP connections: `KUBE_TCP_PROD_EU` for `prod-eu`. Not `…_TCP`, which
 * would be the `bindingOf` another cluster, `prod-eu-tcp`.
 */
export function tcpBindingOf(cluster: string): string {
  return `KUBE_TCP_${cluster.toUpperCase().replaceAll("-", "_")}`;
}

/** Whether sessions may reach a cluster over TCP, for which it needs a VPC service of its own. */
export function mayUseTcp({ transport = "auto" }: Pick<DeployedCluster, "transport">): boolean {
  return transport !== "websocket";
}

/**
 * Makes `SALLYPORT_CONFIG`. `loadConfig` validates it.
 *
 * @throws RangeError where the edge stack has not made something yet: the client id of a service token that
 *   an identity rule names, or the VPC service that a cluster's transport needs
 */
export function workerDocument(deployment: Deployment, outputs: DocumentOutputs): ConfigInput {
  const { access, clusters, sallyport } = deployment;
  const tokens = serviceTokenNames(deployment);
  const { identities, grants, ...rest } = sallyport;
  const adminAudiences = outputs.admin_audiences ?? [outputs.admin_audience];
  const clientIds = new Map(Object.entries(outputs.service_token_client_ids ?? {}));
  const named = (rules: ConfigInput["identities"]) => rules.map((rule) => withClientId(rule, tokens, clientIds));
  return {
    access: {
      teamDomain: access.teamDomain,
      // A request to the admin API carries only its own application's token, which must be accepted as well.
      audiences: [
        ...(outputs.access_audiences ?? [outputs.access_audience]),
        ...(outputs.service_token_audiences ?? []),
        ...adminAudiences,
      ],
      adminAudiences: [...adminAudiences],
      ...(outputs.service_token_audiences && { serviceAudiences: [...outputs.service_token_audiences] }),
      ...(access.oauth.enabled && { managedOAuth: true }),
      groups: access.groups,
    },
    clusters: clusters.map((cluster) => ({
      ...workersPart(cluster),
      hostnames: allHostnamesOf(deployment, cluster),
      binding: bindingOf(cluster.name),
      ...tcpPart(cluster, outputs),
      connectorNamespace: namespaceOf(deployment, cluster),
      ...(cluster.identities !== undefined && { identities: named(cluster.identities) }),
    })),
    identities: named(identities),
    ...(grants && {
      grants: grants.map((grant) => ({
        ...grant,
        for: grant.for.map((match) => withClientId({ match }, tokens, clientIds).match),
      })),
    }),
    ...defined(rest),
  };
}

function workersPart(cluster: DeployedCluster): Pick<DeployedCluster, "name" | "hostnames" | "rules"> {
  const fields = Object.entries(defined(cluster)).filter(([name]) => WORKERS_FIELDS.has(name));
  return Object.fromEntries(fields) as DeployedCluster;
}

/** Without the service `auto` goes by WebSocket, and needs no binding for that. */
function tcpPart(cluster: DeployedCluster, { vpc_tcp_service_ids = {} }: DocumentOutputs) {
  const { name, transport } = cluster;
  if (!mayUseTcp(cluster)) return {};
  if (vpc_tcp_service_ids[name] !== undefined) return { tcpBinding: tcpBindingOf(name) };
  if (transport === "tcp") {
    throw new RangeError(`the cluster ${name} has the transport tcp, but no VPC service for it: apply the edge stack`);
  }
  return {};
}

/**
 * Replaces a service token's name by its client id. A name that is not in `access.serviceTokens` is a client
 * id.
 */
function withClientId<Rule extends Pick<ConfigInput["identities"][number], "match">>(
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
