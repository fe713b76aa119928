/** Every file of the documentation that is generated, whole or in part. */
import { VERBS } from "../../cli/verbs.ts";
import type { CommandEntry } from "../cli/command.ts";
import { CONFIG_DOCUMENTS, configurationParts } from "../config-reference/documents.ts";
import { schemaFileOf } from "../config-reference/reference.ts";
import { sizingTables } from "../sizing/tables.ts";
import { apiParts } from "./api-reference.ts";
import { commandParts, verbParts } from "./commands.ts";
import { fillGenerated } from "./generated-parts.ts";
import { logEventsTable } from "./log-events.ts";
import { outputsTable } from "./outputs.ts";
import { questionParts } from "./questions.ts";

export interface GeneratedFile {
  /** From the project's top. */
  readonly path: string;
  /** @param current the file's text; empty where there is none yet */
  readonly render: (current: string) => Promise<string>;
}

/** A document with generated parts between its marks. */
function withParts(path: string, parts: () => Parts | Promise<Parts>): GeneratedFile {
  return { path, render: async (current) => fillGenerated(current, await parts()) };
}

/** Texts by the names of the parts. */
type Parts = Readonly<Record<string, string>>;

/** @param commands of the operators' command line */
export function generatedFiles(commands: readonly CommandEntry[]): readonly GeneratedFile[] {
  return [
    withParts("docs/API.md", apiParts),
    withParts("docs/COMMANDS.md", () => commandParts(commands)),
    withParts("docs/CONFIGURATION.md", configurationParts),
    ...CONFIG_DOCUMENTS.map(({ schema, schemaFile }) => ({
      path: schemaFile,
      render: async () => schemaFileOf(schema),
    })),
    withParts("docs/DEPLOY.md", () => ({ outputs: outputsTable() })),
    withParts("docs/MONITORING.md", () => ({ "log-events": logEventsTable() })),
    withParts("docs/PLUGIN.md", () => verbParts(VERBS)),
    withParts("docs/QUERIES.md", questionParts),
    withParts("docs/SIZING.md", sizingTables),
  ];
}
