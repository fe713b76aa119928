/**
 * Which file of several gets which contexts, and whether the names are free: kubectl reads them as one. Pure.
 */
import { isJsonObject } from "../../common/json.ts";
import { USER_WITHOUT_CREDENTIAL } from "../../common/kubeconfig-user.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { entry, hasCurrentContext, isThisPluginsUser, type KubeconfigFile } from "./read.ts";
import type { WrittenContext } from "./written-context.ts";

/** What is written to one file. */
export interface PlannedChange {
  readonly path: string;
  readonly contexts: readonly WrittenContext[];
  /** Becomes the file's current context. Undefined: that stays as it is. */
  readonly current: string | undefined;
}

export interface PlanOptions {
  /** For what is in no file yet. */
  readonly fallback: string;
  /** Takes over names that belong to another server, or to another user. */
  readonly isReplacing: boolean;
  /** Becomes the current context. Undefined: the first that is written does, but only where there is none. */
  readonly current: string | undefined;
}

/**
 * @param files those that exist, in kubectl's order: the first one that names something wins
 * @returns the changes, or why a name is not free
 */
export function planChanges(
  files: readonly KubeconfigFile[],
  contexts: readonly WrittenContext[],
  { fallback, isReplacing, current }: PlanOptions,
): Result<readonly PlannedChange[], string> {
  for (const context of contexts) {
    const taken = takenBy(files, context);
    if (taken !== undefined && !isReplacing) return err(taken);
  }
  const chosen = files.find(hasCurrentContext);
  const start = current ?? (chosen ? undefined : contexts[0]?.name);
  const startPath = chosen?.path ?? fallback;
  const pathOf = ({ name }: WrittenContext) => files.find((file) => isNamedIn(file, name))?.path ?? fallback;
  const paths = [...new Set([...contexts.map(pathOf), ...(start === undefined ? [] : [startPath])])];
  return ok(
    paths.map((path) => ({
      path,
      contexts: contexts.filter((context) => pathOf(context) === path),
      current: path === startPath ? start : undefined,
    })),
  );
}

/** @returns why a context's name is not ours to write, or undefined where it is */
export function takenBy(files: readonly KubeconfigFile[], { name, server }: WrittenContext): string | undefined {
  const way = 'rename it with "kubectl config rename-context" and its cluster, or take the name over with --replace';
  const other = otherServer(files, name, server);
  if (other !== undefined) return `${name} is a context of ${other} there: ${way}`;
  const user = entry(files, "users", name, "user")?.value;
  if (user === undefined || Object.keys(user).length === 0 || isOurs(user)) return undefined;
  return `${name} is a user there with a credential of its own: rename it, or take the name over with --replace`;
}

/** @returns the server of a cluster or a context that has the name already and is somebody else's */
export function otherServer(files: readonly KubeconfigFile[], name: string, server: string): string | undefined {
  const used = entry(files, "contexts", name, "context")?.value["cluster"];
  return [name, used]
    .map((each) => (typeof each === "string" ? entry(files, "clusters", each, "cluster")?.value["server"] : undefined))
    .find((present): present is string => typeof present === "string" && present !== server);
}

function isOurs(user: Readonly<Record<string, unknown>>): boolean {
  const [field, ...more] = Object.keys(user);
  const isWithoutCredential =
    field === "username" && more.length === 0 && user["username"] === USER_WITHOUT_CREDENTIAL.username;
  return isWithoutCredential || isThisPluginsUser(user);
}

function isNamedIn({ content }: KubeconfigFile, name: string): boolean {
  const lists = isJsonObject(content) ? [content["contexts"], content["clusters"], content["users"]] : [];
  return lists.some(
    (list) => Array.isArray(list) && list.some((item: unknown) => isJsonObject(item) && item["name"] === name),
  );
}
