/**
 * `npm run config:reference`: the fields of the configuration, as the schemas say them.
 *
 *   npm run config:reference                 shows them
 *   npm run config:reference -- --write      writes docs/CONFIGURATION.md and the JSON Schemas beside it
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { CONFIG_DOCUMENTS } from "./config-reference/documents.ts";
import { referenceOf, schemaFileOf } from "./config-reference/reference.ts";
import { fillGenerated } from "./generated.ts";

const DOCUMENT = "docs/CONFIGURATION.md";

try {
  const { write } = parseArgs({ options: { write: { type: "boolean", default: false } } }).values;
  const parts = Object.fromEntries(CONFIG_DOCUMENTS.map(({ name, schema }) => [name, referenceOf(schema, name)]));
  if (write) {
    writeFileSync(DOCUMENT, fillGenerated(readFileSync(DOCUMENT, "utf8"), parts));
    for (const { schema, schemaFile } of CONFIG_DOCUMENTS) writeFileSync(schemaFile, schemaFileOf(schema));
  } else {
    console.log(Object.values(parts).join("\n\n"));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
