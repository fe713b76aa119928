/** Where a command finds the project's files, from whatever folder it was started in. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

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
 * @param path from the project's top
 * @returns the same file's path from the folder in which the command runs, as a person there would type it
 */
export function projectFile(path: string, folder = process.cwd()): string {
  return relative(folder, join(findProject(folder), path));
}
