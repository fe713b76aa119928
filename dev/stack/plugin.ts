/** The kubectl plugin of this checkout, in the state folder: nothing of it need be on PATH, nor Node.js. */
import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildPlugin } from "../../cli/build.ts";
import { type StatePaths, writeFileAtomically } from "./files.ts";

export interface LocalPlugin {
  /** Absolute path of the program. */
  readonly command: string;
}

/**
 * Builds the plugin, and the program that runs it with this process's Node.js. Forgets who was signed in: the
 * fake of Access knows no token of an earlier start. Throws as `buildPlugin` does.
 */
export async function preparePlugin(paths: StatePaths): Promise<LocalPlugin> {
  rmSync(paths.pluginHome, { recursive: true, force: true });
  const script = join(paths.bundles, "kubectl-sallyport.js");
  await buildPlugin({ outFile: script });
  const program = `#!/bin/sh
# Written by Sallyport's local stack at every start.
[ -n "$SALLYPORT_HOME" ] || SALLYPORT_HOME=${shellQuote(paths.pluginHome)}
export SALLYPORT_HOME
exec ${shellQuote(process.execPath)} ${shellQuote(script)} "$@"
`;
  writeFileAtomically(paths.plugin, program);
  chmodSync(paths.plugin, 0o700);
  return { command: paths.plugin };
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
