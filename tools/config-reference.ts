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
const USAGE = `Usage: npm run config:reference [-- --write]

Shows every field of the configuration; with --write it goes into ${DOCUMENT}, and the JSON Schemas beside it.
`;

try {
  const { write, help } = parseArgs({
    options: { write: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
  }).values;
  const parts = Object.fromEntries(CONFIG_DOCUMENTS.map(({ name, schema }) => [name, referenceOf(schema, name)]));
  if (help) {
    process.stdout.write(USAGE);
  } else if (write) {
    writeFileSync(DOCUMENT, fillGenerated(readFileSync(DOCUMENT, "utf8"), parts));
    for (const { schema, schemaFile } of CONFIG_DOCUMENTS) writeFileSync(schemaFile, schemaFileOf(schema));
  } else {
    console.log(Object.values(parts).join("\n\n"));
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
