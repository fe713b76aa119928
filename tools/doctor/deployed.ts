/** All checks of a deployment, in the order in which one leads to the next. */
import * as z from "zod";
import type { Migration } from "../../dev/stack/migrations.ts";
import { hostnamesOf, type Plan } from "../deployment/plan.ts";
import type { Cloudflare } from "../ports/cloudflare.ts";
import type { Check, Dependencies } from "./check.ts";
import {
  cloudflaredVersionCheck,
  customDomainCheck,
  multipartCheck,
  recordingsLockCheck,
  tunnelCheck,
  vpcServiceCheck,
  workerConfigCheck,
  workersDevCheck,
} from "./checks/account.ts";
import { longestOpenSession, migrationsCheck, sessionsCheck, triggersCheck } from "./checks/audit-log.ts";
import {
  ClusterView,
  clusterDate,
  connectorCheck,
  disruptionBudgetCheck,
  imagesCheck,
  impersonationCheck,
  quicCheck,
  roleCheck,
  serverVersionCheck,
  sidecarCheck,
} from "./checks/cluster.ts";
import { kubectlVersionCheck } from "./checks/machine.ts";
import {
  accessCheck,
  adminAccessCheck,
  auditTrailCheck,
  clocksCheck,
  type Query,
  signingKeysCheck,
  throughCheck,
  whoamiCheck,
} from "./checks/outside.ts";

export interface DoctorInput {
  readonly plan: Plan;
  /** Of this checkout. */
  readonly migrations: readonly Migration[];
  /** Undefined without an API token. */
  readonly cloudflare: Cloudflare | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function deployedChecks({ plan, migrations, cloudflare, env }: DoctorInput, ports: Dependencies): Check[] {
  const query: Query | undefined =
    cloudflare && (async <Row>(sql: string) => (await cloudflare.query(plan.database.id, sql, z.unknown())) as Row[]);
  const outside = hostnamesOf(plan).map((hostname) => ({ access: plan.access, hostname }));
  const views = plan.clusters.map((cluster) => ({ cluster, view: new ClusterView(cluster, ports) }));
  const certs = { url: `${plan.access.teamDomain}/cdn-cgi/access/certs` };
  const clocks = [
    { name: "Cloudflare", read: async () => (await ports.http(certs)).headers["date"] },
    ...views.map(({ cluster, view }) => ({ name: `the cluster ${cluster.name}`, read: () => clusterDate(view) })),
  ];
  return [
    kubectlVersionCheck(ports, env),
    clocksCheck(clocks, ports),
    ...outside.flatMap((each) => [accessCheck(each, ports), adminAccessCheck(each, ports)]),
    signingKeysCheck(plan, ports),
    workersDevCheck(plan, cloudflare),
    workerConfigCheck(plan, cloudflare),
    ...hostnamesOf(plan).map((hostname) => customDomainCheck(plan, hostname, cloudflare)),
    ...plan.clusters.flatMap((cluster) => [
      tunnelCheck(cluster, cloudflare),
      cloudflaredVersionCheck(cluster, cloudflare, ports),
      vpcServiceCheck(cluster, cloudflare),
    ]),
    ...views.flatMap(({ cluster, view }) => [
      connectorCheck(cluster, view),
      quicCheck(cluster, view),
      sidecarCheck(cluster, view),
      imagesCheck(cluster, view),
      disruptionBudgetCheck(cluster, view),
      impersonationCheck(cluster, view, ports),
      roleCheck(cluster, view),
      serverVersionCheck(cluster, view),
    ]),
    migrationsCheck(migrations, query),
    triggersCheck(migrations, query),
    sessionsCheck(longestOpenSession(plan.document), query, ports.now),
    recordingsLockCheck(plan, cloudflare),
    multipartCheck(plan, cloudflare),
    ...outside.flatMap((each) => [
      whoamiCheck(each, ports),
      throughCheck(each, ports),
      auditTrailCheck(each, query, ports),
    ]),
  ];
}
