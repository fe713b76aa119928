/** The kubectl plugin of this checkout, in the state folder: nothing of it need be on PATH, nor Node.js. */
import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildPlugin } from "../../cli/build.ts";
import type { PersonaName } from "../access/personas.ts";
import { type StatePaths, writeFileAtomically } from "./files.ts";

export interface LocalPlugin {
  /** Absolute path of the program. */
  readonly command: string;
  /** @returns the folder of a person's sign-ins: each context is one person */
  readonly homeOf: (persona: PersonaName) => string;
}

/**
 * Builds the plugin, and the program that runs it with this process's Node.js. Forgets who was signed in: the
 * fake of Access knows no token of an earlier start. Throws as `buildPlugin` does.
 */
export async function preparePlugin(paths: StatePaths): Promise<LocalPlugin> {
  rmSync(paths.pluginHomes, { recursive: true, force: true });
  const script = join(paths.bundles, "kubectl-sallyport.js");
  await buildPlugin({ outFile: script });
  const program = `#!/bin/sh
# Written by Sallyport's local stack at every start.
exec ${shellQuote(process.execPath)} ${shellQuote(script)} "$@"
`;
  writeFileAtomically(paths.plugin, program);
  chmodSync(paths.plugin, 0o700);
  return { command: paths.plugin, homeOf: (persona) => join(paths.pluginHomes, persona) };
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
