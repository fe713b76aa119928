/** The wrangler configurations of a deployment's two Workers. Pure. */
import { splitIntoVariables } from "../../worker/config/variables.ts";
import { REMOVED_ACCESS_CRON } from "../../worker/crons.ts";
import { maxSessionSeconds } from "../deployment/max-session-seconds.ts";
import { hostnamesOf, type Plan, tcpServicesOf } from "../deployment/plan.ts";

/** What one of the project's wrangler configuration files says for every deployment. */
export interface WorkerSettings {
  /** Path of the entry module from the project's top. */
  readonly main: string;
  readonly compatibility_date: string;
  readonly compatibility_flags?: readonly string[];
  readonly keep_names?: boolean;
  readonly limits: { readonly subrequests: number };
  readonly observability: object;
  /** Modules that a build makes, by the name that they are imported as. Paths are from the project's top. */
  readonly alias?: Readonly<Record<string, string>>;
}

interface Namespace {
  readonly name: string;
  readonly class_name: string;
}

/** What wrangler.jsonc and durable/wrangler.jsonc say for every deployment: the one source of these facts. */
export interface ProjectConfiguration {
  readonly edge: WorkerSettings;
  readonly objects: WorkerSettings;
  /** The Durable Object migrations, which belong to the objects' Worker. */
  readonly objectMigrations: readonly object[];
  /** The namespaces of the objects, as both Workers bind them. */
  readonly namespaces: readonly Namespace[];
  /** The audit database's binding, and where its migrations are from the project's top. */
  readonly database: { readonly binding: string; readonly migrations_dir: string };
  readonly recordingsBinding: string;
  /** When the export and the sealing run, in cron's syntax. */
  readonly crons: readonly string[];
}

/** Lets `/-/healthz` and `/-/admin/health` say which versions answer. */
export const VERSION_BINDING = "VERSION";
export const EXPORT_BINDING = "EXPORT";

/** Cloudflare's own maximum for a deferred code update. */
const MAX_DELAY_SECONDS = 86_400;
/** Beyond the longest session, so that a session which opened just before a deploy ends by its own limit. */
const DELAY_MARGIN_SECONDS = 60;

/**
 * Makes the edge's configuration: everything that `wrangler deploy` needs, so that nothing depends on an
 * environment, a flag or a prompt.
 *
 * @param toProject path from the folder of the generated file to the project's top, since wrangler resolves
 *   paths from there
 * @throws RangeError where the configuration document is too large for a Worker
 */
export function edgeConfiguration(plan: Plan, project: ProjectConfiguration, toProject: string) {
  const { namespaces, recordingsBinding, crons } = project;
  return {
    name: plan.workers.edge,
    ...workerSettings(plan, project.edge, toProject),
    routes: hostnamesOf(plan).map((pattern) => ({ pattern, custom_domain: true })),
    durable_objects: {
      bindings: namespaces.map((namespace) => ({ ...namespace, script_name: plan.workers.objects })),
    },
    ...storageBindings(plan, project, toProject),
    r2_buckets: [
      { binding: recordingsBinding, bucket_name: plan.recordings.bucket },
      ...(plan.exportBucket === undefined ? [] : [{ binding: EXPORT_BINDING, bucket_name: plan.exportBucket }]),
    ],
    triggers: { crons: [...crons, REMOVED_ACCESS_CRON] },
    vars: splitIntoVariables(plan.document),
  };
}

/** Makes the configuration of the objects' Worker. See `edgeConfiguration`. */
export function objectsConfiguration(plan: Plan, project: ProjectConfiguration, toProject: string) {
  const { vpc_services, ...storage } = storageBindings(plan, project, toProject);
  const tcpServices = tcpServicesOf(plan).map(({ binding, vpcServiceId }) => ({ binding, service_id: vpcServiceId }));
  return {
    name: plan.workers.objects,
    ...workerSettings(plan, project.objects, toProject),
    migrations: project.objectMigrations,
    durable_objects: {
      // A user's objects call each other, and the directory.
      bindings: project.namespaces,
      code_update_strategy: { mode: "deferred", max_delay: codeUpdateDelaySeconds(plan) },
    },
    ...storage,
    // Only the objects open TCP connections to clusters.
    vpc_services: [...vpc_services, ...tcpServices],
    r2_buckets: [{ binding: project.recordingsBinding, bucket_name: plan.recordings.bucket }],
  };
}

/**
 * How long a user's object with live sessions may keep the old code after a deploy.
 *
 * Such an object never hibernates, since it holds outgoing sockets. Cloudflare resets it after this delay at
 * the latest, and says that the delay is best effort:
 * https://developers.cloudflare.com/durable-objects/deployments/durable-objects-code-updates/
 *
 * @returns seconds: as long as the longest session that the document allows
 */
export function codeUpdateDelaySeconds({ document }: Pick<Plan, "document">): number {
  return Math.min(maxSessionSeconds(document) + DELAY_MARGIN_SECONDS, MAX_DELAY_SECONDS);
}

function workerSettings({ account }: Plan, { main, alias, ...settings }: WorkerSettings, toProject: string) {
  const modules = Object.entries(alias ?? {}).map(([name, path]) => [
    name,
    `${toProject}/${path.replace(/^\.\//, "")}`,
  ]);
  return {
    main: `${toProject}/${main}`,
    account_id: account,
    ...settings,
    ...(alias && { alias: Object.fromEntries(modules) as Record<string, string> }),
    version_metadata: { binding: VERSION_BINDING },
    // Both would lead past Access: the edge is reached by its custom domains alone, the objects by the edge
    // alone.
    workers_dev: false,
    preview_urls: false,
  };
}

/** The audit database and the clusters, which both Workers have under the same names. */
function storageBindings(plan: Plan, { database }: ProjectConfiguration, toProject: string) {
  return {
    d1_databases: [
      {
        binding: database.binding,
        database_name: plan.database.name,
        database_id: plan.database.id,
        migrations_dir: `${toProject}/${database.migrations_dir}`,
      },
    ],
    vpc_services: plan.clusters.map(({ binding, vpcServiceId }) => ({ binding, service_id: vpcServiceId })),
  };
}
