/** Makes a deployment's plan from the deployment file and the edge stack's outputs. */
import { join } from "node:path";
import { applicationPolicies } from "../../terraform/config/access-policies.ts";
import { impersonatedIn } from "../../terraform/config/identities.ts";
import { DeploymentError, loadDeployment } from "../../terraform/config/load.ts";
import { type DeployedCluster, type Deployment, sealRetentionDays } from "../../terraform/config/schema.ts";
import {
  hasServiceTokenHosts,
  serviceTokenHostnameOf,
  serviceTokenNames,
} from "../../terraform/config/service-tokens.ts";
import { EDGE_STACK } from "../../terraform/config/stack-names.ts";
import { bindingOf, mayUseTcp, tcpBindingOf, workerDocument } from "../../terraform/config/worker-document.ts";
import { connectorRole } from "../../terraform/manifests/connector.ts";
import { DEPLOYMENT_NAME, namespaceOf, PROXY_PORT, SERVICE_ACCOUNT_NAME } from "../../terraform/manifests/names.ts";
import { serviceIpsOf } from "../../terraform/manifests/platforms.ts";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { durationSeconds } from "./durations.ts";
import { OperatorError } from "./operator-error.ts";
import { type Outputs, readOutputs } from "./outputs.ts";
import type { Plan, PlannedCluster, SignIn } from "./plan.ts";
import { outFolder, projectFile } from "./project-files.ts";

/** From the project's top. */
export const MIGRATIONS = "migrations";

export interface PlanOptions {
  /** The deployment file. */
  readonly config: string;
  readonly outputs?: string | undefined;
  /** Accept missing outputs, and use placeholders instead, which `placeholders` lists. */
  readonly mayHaveGaps?: boolean | undefined;
}

/**
 * Reads and validates everything.
 *
 * @param warn is told what is allowed, but should be intended
 * @throws OperatorError
 */
export function readPlan(
  { config, outputs, mayHaveGaps }: PlanOptions,
  warn: (message: string) => void = () => {},
): Plan {
  const deployment = readDeployment(config, warn);
  try {
    return planOf(deployment, readOutputs(outputs, projectFile(edgeStackFolder(deployment.name))));
  } catch (error) {
    if (!mayHaveGaps || outputs !== undefined || !(error instanceof OperatorError)) throw error;
    warn(`${error.message}; continuing with placeholder ids`);
    return planOf(deployment, placeholderOutputs(deployment));
  }
}

/** From the project's top. */
function edgeStackFolder(name: string): string {
  return join(outFolder(name), "stacks", EDGE_STACK);
}

/** Placeholders for the outputs of an edge stack that is not applied. No id of Cloudflare's is all zeros. */
function placeholderOutputs(deployment: Deployment): Outputs {
  const { account, access, clusters, name } = deployment;
  const none = "00000000-0000-0000-0000-000000000000";
  const ofClusters = Object.fromEntries(clusters.map((cluster) => [cluster.name, none]));
  return {
    deployment: name,
    account_id: account,
    audit_database_id: none,
    audit_database_name: `${name}-audit`,
    recordings_bucket: `${name}-recordings`,
    access_audience: "not-applied-yet",
    admin_audience: "not-applied-yet-admin",
    team_domain: access.teamDomain,
    vpc_service_ids: ofClusters,
    vpc_tcp_service_ids: Object.fromEntries(clusters.filter(mayUseTcp).map((cluster) => [cluster.name, none])),
    tunnel_ids: ofClusters,
    service_token_client_ids: Object.fromEntries(
      serviceTokenNames(deployment).map((token) => [token, `${token}.access`]),
    ),
    service_token_audiences: hasServiceTokenHosts(deployment) ? ["not-applied-yet-service-tokens"] : [],
  };
}

/** Reads the deployment file. @throws OperatorError */
export function readDeployment(file: string, warn: (message: string) => void = () => {}): Deployment {
  try {
    return loadDeployment(file, warn);
  } catch (error) {
    if (error instanceof DeploymentError) throw new OperatorError(error.message);
    throw error;
  }
}

/** @throws OperatorError where the deployment has no cluster of this name */
export function findCluster({ clusters }: Deployment, name: string): DeployedCluster {
  const cluster = clusters.find((each) => each.name === name);
  if (cluster) return cluster;
  const names = clusters.map((each) => each.name).join(", ");
  throw new OperatorError(`the deployment file has no cluster ${name}; it has ${names}`);
}

/** Combines the two. Pure. @throws OperatorError where they do not belong together */
export function planOf(deployment: Deployment, outputs: Outputs): Plan {
  if (outputs.deployment !== deployment.name) {
    throw new OperatorError(
      `the outputs are of the deployment ${outputs.deployment}, the deployment file is that of ${deployment.name}: check --outputs and --config`,
    );
  }
  if (outputs.account_id !== deployment.account) {
    throw new OperatorError("the outputs are of another account than the deployment file: check --outputs and account");
  }
  if (outputs.team_domain !== deployment.access.teamDomain) {
    throw new OperatorError("the outputs have another team domain than the deployment file: apply the edge stack");
  }
  return {
    name: deployment.name,
    workers: { edge: deployment.name, objects: `${deployment.name}-objects` },
    account: deployment.account,
    access: {
      teamDomain: deployment.access.teamDomain,
      audiences: outputs.access_audiences ?? [outputs.access_audience],
      adminAudiences: outputs.admin_audiences ?? [outputs.admin_audience],
      serviceTokenAudiences: outputs.service_token_audiences ?? [],
      policies: applicationPolicies(deployment),
      signIn: planSignIn(deployment),
    },
    database: { id: outputs.audit_database_id, name: outputs.audit_database_name },
    recordings: {
      bucket: outputs.recordings_bucket,
      retentionDays: deployment.record.retentionDays,
      sealRetentionDays: sealRetentionDays(deployment.record),
    },
    exportBucket: outputs.export_bucket ?? undefined,
    clusters: deployment.clusters.map((cluster) => planCluster(deployment, cluster, outputs)),
    document: validatedDocument(deployment, outputs),
  };
}

function planSignIn({ access }: Deployment): SignIn {
  const { oauth, adminSessionDuration: adminSession } = access;
  return {
    warp: access.warp,
    session: secondsOf(access.sessionDuration),
    adminSession: secondsOf(adminSession),
    oauth: oauth.enabled
      ? {
          accessToken: secondsOf(oauth.accessTokenLifetime),
          session: secondsOf(oauth.sessionDuration),
          adminSession: secondsOf(oauth.adminSessionDuration ?? adminSession),
        }
      : undefined,
  };
}

/** Of a duration that the deployment file's schema has accepted. */
function secondsOf(duration: string): number {
  const seconds = durationSeconds(duration);
  if (seconds === undefined) throw new RangeError(`${duration} is not a duration`);
  return seconds;
}

function planCluster(deployment: Deployment, cluster: DeployedCluster, outputs: Outputs): PlannedCluster {
  const { name, hostnames, kubeconfig, connector, apiServer } = cluster;
  const { groups, users } = impersonatedIn(deployment, cluster);
  const role = connectorRole(deployment, cluster);
  return {
    name,
    hostnames,
    serviceTokenHostname: serviceTokenHostnameOf(deployment, cluster),
    binding: bindingOf(name),
    vpcServiceId: idOf("vpc_service_ids", outputs.vpc_service_ids, name),
    tcp: planTcp(cluster, outputs),
    tunnelId: idOf("tunnel_ids", outputs.tunnel_ids, name),
    // The demo cluster's is only in Terraform's state.
    kubeconfig: typeof kubeconfig === "object" ? { path: kubeconfig.path, context: kubeconfig.context } : undefined,
    connector: {
      namespace: namespaceOf(deployment, cluster),
      deployment: DEPLOYMENT_NAME,
      serviceAccount: SERVICE_ACCOUNT_NAME,
      replicas: connector.replicas,
      port: PROXY_PORT,
    },
    apiServer: connector.networkPolicy
      ? { cidrs: apiServer.cidrs, port: apiServer.port, serviceIps: serviceIpsOf(apiServer) }
      : undefined,
    role: { name: role.metadata.name, rules: role.rules },
    groups,
    users,
  };
}

function planTcp(cluster: DeployedCluster, { vpc_tcp_service_ids }: Outputs): PlannedCluster["tcp"] {
  if (!mayUseTcp(cluster)) return { isWanted: false };
  const vpcServiceId = vpc_tcp_service_ids?.[cluster.name];
  const service = vpcServiceId === undefined ? undefined : { binding: tcpBindingOf(cluster.name), vpcServiceId };
  return { isWanted: true, service };
}

function idOf(output: string, ids: Readonly<Record<string, string>>, cluster: string): string {
  const id = ids[cluster];
  if (id === undefined) {
    throw new OperatorError(
      `the output ${output} lacks ${cluster}: run "npx sallyport synth" and apply the edge stack`,
    );
  }
  return id;
}

/** Validated by the Worker's own loader, before anything is deployed. */
function validatedDocument(deployment: Deployment, outputs: Outputs): ConfigInput {
  try {
    const document = workerDocument(deployment, outputs);
    loadConfig(document);
    return document;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof RangeError) throw new OperatorError(error.message);
    throw error;
  }
}
