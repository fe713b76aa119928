/** The configuration documents that docs/CONFIGURATION.md describes. */
import type * as z from "zod";
import { deploymentSchema } from "../../terraform/config/schema.ts";
import { configSchema } from "../../worker/config/schema.ts";
import { referenceOf } from "./reference.ts";

export interface ConfigDocument {
  /** The name of its generated part in docs/CONFIGURATION.md. Headings and anchors begin with it. */
  readonly name: string;
  readonly schema: z.ZodType;
  /** The file of its JSON Schema, for editors. */
  readonly schemaFile: string;
}

export const CONFIG_DOCUMENTS: readonly ConfigDocument[] = [
  { name: "deployment", schema: deploymentSchema, schemaFile: "docs/deployment.schema.json" },
  { name: "worker", schema: configSchema, schemaFile: "docs/sallyport-config.schema.json" },
];

/** The generated parts of docs/CONFIGURATION.md, by name. */
export function configurationParts(): Record<string, string> {
  return Object.fromEntries(CONFIG_DOCUMENTS.map(({ name, schema }) => [name, referenceOf(schema, name)]));
}
