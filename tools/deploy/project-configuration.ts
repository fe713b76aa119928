import { join } from "node:path";
import { experimental_readRawConfig } from "wrangler";
import * as z from "zod";
import { OperatorError } from "../deployment/operator-error.ts";
import type { ProjectConfiguration } from "./wrangler-configuration.ts";

/** How often the export and the sealing run if wrangler.jsonc does not say. */
const CRONS = ["*/5 * * * *"];

const d1 = z.tuple([z.object({ binding: z.string(), migrations_dir: z.string() })]);
const r2 = z.tuple([z.object({ binding: z.string() })], z.object({ binding: z.string() }));

/** A class of the objects, which both Workers bind. */
const namespace = z.object({ name: z.string(), class_name: z.string() });

/** What both configuration files say. */
const common = {
  main: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()).optional(),
  keep_names: z.boolean().optional(),
  limits: z.strictObject({ subrequests: z.number().int().positive() }),
  observability: z.looseObject({}),
};

const edgeSchema = z.object({
  ...common,
  alias: z.record(z.string(), z.string()),
  triggers: z.object({ crons: z.array(z.string()).min(1) }).optional(),
  env: z.object({
    local: z.object({
      durable_objects: z.object({ bindings: z.array(namespace).min(1) }),
      d1_databases: d1,
      r2_buckets: r2,
    }),
  }),
});

const objectsSchema = z.object({
  ...common,
  migrations: z.array(z.looseObject({ tag: z.string() })).min(1),
});

/**
 * Reads wrangler.jsonc and durable/wrangler.jsonc, which hold what is the same for every deployment. The
 * binding names are those of the local environment, which the tests run with.
 *
 * @param project the project's top folder
 * @throws OperatorError if one of the files lacks something
 */
export function readProjectConfiguration(project: string): ProjectConfiguration {
  const edge = read(join(project, "wrangler.jsonc"), edgeSchema);
  const objects = read(join(project, "durable/wrangler.jsonc"), objectsSchema);
  const { durable_objects, d1_databases, r2_buckets } = edge.env.local;
  return {
    edge: { ...settingsOf(edge, "."), alias: edge.alias },
    objects: settingsOf(objects, "durable"),
    objectMigrations: objects.migrations,
    namespaces: durable_objects.bindings,
    database: { binding: d1_databases[0].binding, migrations_dir: d1_databases[0].migrations_dir },
    recordingsBinding: r2_buckets[0].binding,
    crons: edge.triggers?.crons ?? CRONS,
  };
}

function read<T>(file: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(experimental_readRawConfig({ config: file }).rawConfig);
  if (!parsed.success) throw new OperatorError(`${file}:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

type Common = z.output<z.ZodObject<typeof common>>;

function settingsOf(
  { main, compatibility_date, compatibility_flags, keep_names, limits, observability }: Common,
  folder: string,
): ProjectConfiguration["edge"] {
  return {
    main: join(folder, main),
    compatibility_date,
    ...(compatibility_flags && { compatibility_flags }),
    ...(keep_names !== undefined && { keep_names }),
    limits,
    observability,
  };
}
