/** Where a command finds the project's files, from whatever folder it was started in. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { OperatorError } from "./operator-error.ts";

/** The top of the checkout that this program belongs to. */
export const PROJECT = resolve(import.meta.dirname, "../..");

/** @returns the top of the checkout around `folder`; outside of one, that of this program */
export function findProject(folder: string): string {
  if (isProject(folder)) return folder;
  const parent = dirname(folder);
  return parent === folder ? PROJECT : findProject(parent);
}

function isProject(folder: string): boolean {
  const file = join(folder, "package.json");
  if (!existsSync(file)) return false;
  const { name } = JSON.parse(readFileSync(file, "utf8")) as { readonly name?: unknown };
  return name === "sallyport";
}

/**
 * Where `synth` and `deploy` write, from the project's top: a folder for each deployment, so that none
 * overwrites another's.
 */
export function outFolder(deployment: string): string {
  return join(OUT, deployment);
}
const OUT = "terraform/out";

/**
 * Finds a file that `deploy` has written, where no option says which.
 *
 * @returns its path from the current folder; undefined where no deployment has one
 * @throws OperatorError where several have
 */
export function findGenerated(file: string): string | undefined {
  const folder = projectFile(OUT);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => existsSync(join(folder, name, file))) : [];
  if (names.length > 1) {
    throw new OperatorError(
      `${file} was written for several deployments (${names.join(", ")}): say which with --config ${join(folder, "NAME", file)}`,
    );
  }
  return names[0] === undefined ? undefined : join(folder, names[0], file);
}

/**
 * The edge's wrangler configuration.
 *
 * @param given by an option
 * @throws OperatorError where there is none, or several
 */
export function deployedConfiguration(given?: string): string {
  const file = given ?? findGenerated("wrangler.json");
  if (file !== undefined) return file;
  throw new OperatorError("there is no wrangler configuration in terraform/out: run npx sallyport deploy --dry-run");
}

/**
 * @param path from the project's top
 * @returns the same file's path from the folder in which the command runs, as a person there would type it
 */
export function projectFile(path: string, folder = process.cwd()): string {
  return relative(folder, join(findProject(folder), path));
}
