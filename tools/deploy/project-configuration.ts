import { experimental_readRawConfig } from "wrangler";
import * as z from "zod";
import { OperatorError } from "../deployment/operator-error.ts";
import type { ProjectConfiguration } from "./wrangler-configuration.ts";

/** How often the export runs where wrangler.jsonc does not say. */
const EXPORT_CRONS = ["*/5 * * * *"];

const schema = z.object({
  main: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).optional(),
  keep_names: z.boolean().optional(),
  migrations: z.array(z.looseObject({ tag: z.string() })).min(1),
  observability: z.looseObject({}),
  triggers: z.object({ crons: z.array(z.string()).min(1) }).optional(),
  env: z.object({
    local: z.object({
      durable_objects: z.object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })).min(1) }),
      d1_databases: z.tuple([z.object({ binding: z.string(), migrations_dir: z.string() })]),
      r2_buckets: z.tuple([z.object({ binding: z.string() })], z.object({ binding: z.string() })),
    }),
  }),
});

/**
 * Reads wrangler.jsonc: what is the same for every deployment stands there and nowhere else. The names of bindings are those
 * of the local environment, which the tests run with.
 *
 * @throws OperatorError where it lacks something
 */
export function readProjectConfiguration(file: string): ProjectConfiguration {
  const parsed = schema.safeParse(experimental_readRawConfig({ config: file }).rawConfig);
  if (!parsed.success) throw new OperatorError(`${file}:\n${z.prettifyError(parsed.error)}`);
  const { main, compatibility_date, compatibility_flags, keep_names, migrations, observability, triggers, env } =
    parsed.data;
  const { durable_objects, d1_databases, r2_buckets } = env.local;
  return {
    main,
    compatibility_date,
    ...(compatibility_flags && { compatibility_flags }),
    ...(keep_names !== undefined && { keep_names }),
    migrations,
    observability,
    durable_objects,
    database: { binding: d1_databases[0].binding, migrations_dir: d1_databases[0].migrations_dir },
    recordingsBinding: r2_buckets[0].binding,
    exportCrons: triggers?.crons ?? EXPORT_CRONS,
  };
}
