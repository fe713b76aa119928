import * as z from "zod";
import type { Migration } from "../../dev/stack/migrations.ts";
import { adminApiOf } from "../deployment/admin-api.ts";
import { maxSessionSeconds } from "../deployment/max-session-seconds.ts";
import { hostsOf, type Plan } from "../deployment/plan.ts";
import type { Cloudflare } from "../ports/cloudflare.ts";
import type { Check, Dependencies, Query } from "./check.ts";
import { accessCheck, adminAccessCheck, signingKeysCheck } from "./checks/access.ts";
import { customDomainCheck } from "./checks/account/custom-domain.ts";
import { databaseSizeCheck } from "./checks/account/database-size.ts";
import { multipartCheck, recordingsLockCheck, sealsLockCheck } from "./checks/account/recordings-bucket.ts";
import {
  accessPoliciesCheck,
  oauthConfigurationCheck,
  sessionDurationsCheck,
  warpSessionCheck,
} from "./checks/account/sign-in.ts";
import { cloudflaredVersionCheck, tunnelCheck, vpcServiceCheck, vpcTcpServiceCheck } from "./checks/account/tunnel.ts";
import { workerConfigCheck } from "./checks/account/worker-config.ts";
import { workerLogsCheck } from "./checks/account/worker-logs.ts";
import { objectsWorkerCheck, routesCheck, versionsCheck, workersDevCheck } from "./checks/account/workers.ts";
import { migrationsCheck, sealsCheck, sessionsCheck, triggersCheck } from "./checks/audit-database.ts";
import { clocksCheck } from "./checks/clocks.ts";
import { clusterDate, serverVersionCheck } from "./checks/cluster/api-server.ts";
import { ClusterView } from "./checks/cluster/cluster-view.ts";
import {
  connectorCheck,
  disruptionBudgetCheck,
  imagesCheck,
  quicCheck,
  sidecarCheck,
} from "./checks/cluster/connector.ts";
import { networkPolicyCheck } from "./checks/cluster/network.ts";
import { impersonationCheck, roleCheck } from "./checks/cluster/permissions.ts";
import { drainCheck } from "./checks/drain.ts";
import { kubectlVersionCheck } from "./checks/kubectl.ts";
import { adminOAuthCheck, managedOAuthCheck } from "./checks/managed-oauth.ts";
import { auditTrailCheck, throughCheck, whoamiCheck } from "./checks/through-access.ts";
import { webhooksCheck } from "./checks/webhooks.ts";

export interface DoctorInput {
  readonly plan: Plan;
  /** Of this checkout. */
  readonly migrations: readonly Migration[];
  /** Undefined without an API token. */
  readonly cloudflare: Cloudflare | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** All checks of a deployment. Causes come before their consequences. */
export function deployedChecks(
  { plan, migrations, cloudflare, env }: DoctorInput,
  dependencies: Dependencies,
): Check[] {
  const query: Query | undefined =
    cloudflare && (async <Row>(sql: string) => (await cloudflare.query(plan.database.id, sql, z.unknown())) as Row[]);
  const hosts = hostsOf(plan).map((host) => ({ access: plan.access, ...host }));
  const ofPeople = hosts.filter(({ isForPeople }) => isForPeople);
  const ofServiceTokens = hosts.filter(({ isForServiceTokens }) => isForServiceTokens);
  const views = plan.clusters.map((cluster) => ({ cluster, view: new ClusterView(cluster, dependencies) }));
  // Not the service token, which need not be an administrator's.
  const { CF_ACCESS_TOKEN: accessToken } = env;
  const adminApi = accessToken ? adminApiOf(plan, { accessToken }) : undefined;
  const certs = { url: `${plan.access.teamDomain}/cdn-cgi/access/certs` };
  const clocks = [
    { name: "Cloudflare", read: async () => (await dependencies.http(certs)).headers["date"] },
    ...views.map(({ cluster, view }) => ({ name: `the cluster ${cluster.name}`, read: () => clusterDate(view) })),
  ];
  return [
    kubectlVersionCheck(dependencies, env),
    clocksCheck(clocks, dependencies),
    ...hosts.map((host) => accessCheck(host, dependencies)),
    ...ofPeople.map((host) => adminAccessCheck(host, dependencies)),
    ...ofPeople.flatMap((host) => [managedOAuthCheck(host, dependencies), adminOAuthCheck(host, dependencies)]),
    signingKeysCheck(plan.access, dependencies),
    warpSessionCheck(plan, cloudflare),
    sessionDurationsCheck(plan, cloudflare),
    accessPoliciesCheck(plan, cloudflare),
    oauthConfigurationCheck(plan, cloudflare),
    objectsWorkerCheck(plan, cloudflare),
    versionsCheck(plan, cloudflare),
    workersDevCheck(plan, cloudflare),
    routesCheck(plan, cloudflare),
    workerConfigCheck(plan, cloudflare),
    workerLogsCheck(plan, cloudflare),
    ...hosts.map(({ hostname }) => customDomainCheck(plan, hostname, cloudflare)),
    ...plan.clusters.flatMap((cluster) => [
      tunnelCheck(cluster, cloudflare),
      cloudflaredVersionCheck(cluster, cloudflare, dependencies),
      vpcServiceCheck(cluster, cloudflare),
      vpcTcpServiceCheck(cluster, cloudflare),
    ]),
    ...views.flatMap(({ cluster, view }) => [
      connectorCheck(cluster, view),
      quicCheck(cluster, view),
      sidecarCheck(cluster, view),
      imagesCheck(cluster, view),
      disruptionBudgetCheck(cluster, view),
      impersonationCheck(cluster, view, dependencies),
      roleCheck(cluster, view),
      serverVersionCheck(cluster, view),
      networkPolicyCheck(cluster, view),
    ]),
    migrationsCheck(migrations, query),
    triggersCheck(migrations, query),
    sessionsCheck(maxSessionSeconds(plan.document), query, dependencies.now),
    drainCheck(query, dependencies.now),
    webhooksCheck(plan, adminApi, cloudflare, dependencies.http),
    sealsCheck(query, dependencies.now),
    databaseSizeCheck(plan, cloudflare),
    recordingsLockCheck(plan, cloudflare),
    sealsLockCheck(plan, cloudflare),
    multipartCheck(plan, cloudflare),
    ...ofServiceTokens.flatMap((host) => [
      whoamiCheck(host, dependencies),
      throughCheck(host, dependencies),
      auditTrailCheck(host, query, dependencies),
    ]),
  ];
}
