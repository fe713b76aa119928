/** What the commands here have in common. */
import { DeploymentError } from "./config/load.ts";

/** From where npm starts every script, the project's top. The stack `edge` is in `stacks/edge` there. */
export const DEFAULT_OUT_DIR = "terraform/out";

/**
 * Runs a command and sets the exit code: 0, 1 when the deployment file is not valid, 2 for a mistake on the command line.
 *
 * @param read reads the flags; what it throws is such a mistake. It returns what is to be done.
 */
export async function runTool(usage: string, read: () => Promise<() => Promise<void>>): Promise<void> {
  if (process.argv.slice(2).some((flag) => flag === "--help" || flag === "-h")) {
    process.stdout.write(usage);
    return;
  }
  let work: () => Promise<void>;
  try {
    work = await read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exitCode = 2;
    return;
  }
  try {
    await work();
  } catch (error) {
    if (!(error instanceof DeploymentError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
