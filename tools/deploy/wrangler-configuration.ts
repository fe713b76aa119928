/** The wrangler configuration of a deployment. Pure. */
import { splitIntoVariables } from "../../worker/config/variables.ts";
import { hostnamesOf, type Plan } from "../deployment/plan.ts";

/** What wrangler.jsonc says for every deployment: the one place of these facts. */
export interface ProjectConfiguration {
  /** From the project's top. */
  readonly main: string;
  readonly compatibility_date: string;
  readonly compatibility_flags?: readonly string[];
  readonly keep_names?: boolean;
  readonly migrations: readonly object[];
  readonly observability: object;
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
  /** The audit database's binding, and where its migrations are from the project's top. */
  readonly database: { readonly binding: string; readonly migrations_dir: string };
  readonly recordingsBinding: string;
  /** When the export runs, as cron writes it. */
  readonly exportCrons: readonly string[];
}

/** For `/-/healthz` to say which version answers. */
export const VERSION_BINDING = "VERSION";
export const EXPORT_BINDING = "EXPORT";

/**
 * Everything that `wrangler deploy` needs, so that nothing is left to an environment, a flag or a question.
 *
 * @param toProject from the folder of the file that this is written to, to the project's top: wrangler reads paths from there
 * @throws RangeError where the configuration document fits into no Worker
 */
export function wranglerConfiguration(plan: Plan, project: ProjectConfiguration, toProject: string) {
  const { compatibility_date, compatibility_flags, keep_names, migrations, observability, durable_objects, database } =
    project;
  return {
    name: plan.name,
    main: `${toProject}/${project.main}`,
    account_id: plan.account,
    compatibility_date,
    ...(compatibility_flags && { compatibility_flags }),
    ...(keep_names !== undefined && { keep_names }),
    // Both lead past Access: only the custom domains, which the Access application guards, may lead here.
    workers_dev: false,
    preview_urls: false,
    routes: hostnamesOf(plan).map((pattern) => ({ pattern, custom_domain: true })),
    durable_objects,
    migrations,
    d1_databases: [
      {
        binding: database.binding,
        database_name: plan.database.name,
        database_id: plan.database.id,
        migrations_dir: `${toProject}/${database.migrations_dir}`,
      },
    ],
    r2_buckets: [
      { binding: project.recordingsBinding, bucket_name: plan.recordings.bucket },
      ...(plan.exportBucket === undefined ? [] : [{ binding: EXPORT_BINDING, bucket_name: plan.exportBucket }]),
    ],
    vpc_services: plan.clusters.map(({ binding, vpcServiceId }) => ({ binding, service_id: vpcServiceId })),
    version_metadata: { binding: VERSION_BINDING },
    observability,
    // An empty list takes away those of an earlier deployment; leaving it out would keep them.
    triggers: { crons: plan.exportBucket === undefined ? [] : project.exportCrons },
    vars: splitIntoVariables(plan.document),
  };
}
