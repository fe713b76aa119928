/** Reads kubeconfigs as kubectl does: of several files the first one that names something wins. Pure. */
import { isJsonObject } from "../../common/json.ts";
import { err, ok, type Result } from "../../common/result.ts";

/** A file that was read and parsed. */
export interface KubeconfigFile {
  readonly path: string;
  readonly content: unknown;
}

/** A user's exec section, as far as it matters here. */
export interface ExecSection {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What a context says about its cluster and about how its user signs in. */
export interface ContextTarget {
  readonly context: string;
  readonly server: string;
  readonly isTlsVerificationOff: boolean;
  /** PEM in base64. */
  readonly certificateAuthorityData?: string;
  /** A file, with the kubeconfig that it is relative to. */
  readonly certificateAuthorityFile?: { readonly file: string; readonly kubeconfig: string };
  /** Only where this plugin is the one that it runs. */
  readonly exec?: ExecSection;
}

interface Found {
  readonly value: Readonly<Record<string, unknown>>;
  readonly path: string;
}

/**
 * Finds a context.
 *
 * @param name undefined: the current context
 * @returns the context's cluster, or what the person must change
 */
export function resolveContext(files: readonly KubeconfigFile[], name?: string): Result<ContextTarget, string> {
  const context = name ?? firstText(files, "current-context");
  if (context === undefined) return err("there is no current context: choose one with --context");
  const found = entry(files, "contexts", context, "context");
  if (!found) return err(`there is no context ${JSON.stringify(context)} in ${pathsOf(files)}`);
  const clusterName = found.value["cluster"];
  const cluster = typeof clusterName === "string" ? entry(files, "clusters", clusterName, "cluster") : undefined;
  const server = cluster?.value["server"];
  if (!cluster || typeof server !== "string") return err(`the context ${JSON.stringify(context)} has no cluster`);
  const { "certificate-authority-data": data, "certificate-authority": file } = cluster.value;
  const userName = found.value["user"];
  const user = typeof userName === "string" ? entry(files, "users", userName, "user") : undefined;
  const exec = execSection(user?.value["exec"]);
  return ok({
    context,
    server,
    isTlsVerificationOff: cluster.value["insecure-skip-tls-verify"] === true,
    ...(typeof data === "string" && data !== "" && { certificateAuthorityData: data }),
    ...(typeof file === "string" && file !== "" && { certificateAuthorityFile: { file, kubeconfig: cluster.path } }),
    ...(exec && isThisPlugin(exec) && { exec }),
  });
}

/** @returns whether a file says which context is the current one */
export function hasCurrentContext(file: KubeconfigFile): boolean {
  return firstText([file], "current-context") !== undefined;
}

/** @returns whether a user signs in through this plugin */
export function isThisPluginsUser(user: Readonly<Record<string, unknown>>): boolean {
  const exec = execSection(user["exec"]);
  return exec !== undefined && isThisPlugin(exec);
}

/** The names of all contexts, for shell completion. */
export function contextNames(files: readonly KubeconfigFile[]): string[] {
  return [...new Set(files.flatMap(({ content }) => entries(content, "contexts").map(({ name }) => name)))];
}

function pathsOf(files: readonly KubeconfigFile[]): string {
  return files.length === 0 ? "any kubeconfig" : files.map(({ path }) => path).join(", ");
}

function firstText(files: readonly KubeconfigFile[], field: string): string | undefined {
  for (const { content } of files) {
    const value = isJsonObject(content) ? content[field] : undefined;
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}

/** @returns what a list has under a name, in the first file that has it */
export function entry(
  files: readonly KubeconfigFile[],
  list: "clusters" | "contexts" | "users",
  name: string,
  field: string,
): Found | undefined {
  for (const { path, content } of files) {
    const found = entries(content, list).find((each) => each.name === name);
    if (found) return { path, value: isJsonObject(found.fields[field]) ? found.fields[field] : {} };
  }
  return undefined;
}

function entries(content: unknown, list: string): { name: string; fields: Readonly<Record<string, unknown>> }[] {
  const items = isJsonObject(content) ? content[list] : undefined;
  if (!Array.isArray(items)) return [];
  return items.flatMap((item: unknown) =>
    isJsonObject(item) && typeof item["name"] === "string" ? [{ name: item["name"], fields: item }] : [],
  );
}

function execSection(value: unknown): ExecSection | undefined {
  if (!isJsonObject(value) || typeof value["command"] !== "string") return undefined;
  const { command, args, env } = value;
  const pairs = Array.isArray(env) ? env.filter(isJsonObject) : [];
  return {
    command,
    args: Array.isArray(args) ? args.map(String) : [],
    env: Object.fromEntries(pairs.map((each) => [String(each["name"]), String(each["value"] ?? "")])),
  };
}

/** By its name, and by the verb: a wrapper such as `node /opt/kubectl-sallyport credential` counts, too. */
function isThisPlugin({ command, args }: ExecSection): boolean {
  const isNamed = [command, ...args].some((each) => /(?:^|[\\/])kubectl-sallyport[^\\/]*$/.test(each));
  return isNamed && args.includes("credential");
}
