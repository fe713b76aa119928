import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type AppOptions, buildApp } from "./app.ts";
import type { Deployment } from "./config/schema.ts";

export interface WrittenStacks {
  /** Folders of the deployment's stacks. */
  readonly written: readonly string[];
  /**
   * Folders of stacks that the deployment no longer has. They are left: destroying what was applied needs
   * them.
   */
  readonly left: readonly string[];
}

/** Writes the Terraform JSON of each stack to `outDir/stacks/NAME`. Needs no network. */
export function writeStacks(deployment: Deployment, options: AppOptions): WrittenStacks {
  const app = buildApp(deployment, options);
  app.synth();
  const stacks = Object.keys(app.manifest.stacks).sort((one, other) => one.localeCompare(other));
  const folder = (stack: string) => join(options.outDir, "stacks", stack);
  const others = readdirSync(join(options.outDir, "stacks")).filter((name) => !stacks.includes(name));
  return { written: stacks.map(folder), left: others.map(folder) };
}
