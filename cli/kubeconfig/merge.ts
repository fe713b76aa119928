/** Writes contexts into a kubeconfig, and leaves everything else in it as it is, comments too. Pure. */
import { isMap, isSeq, parseAllDocuments, type YAMLMap, type YAMLSeq, type Document as YamlDocument } from "yaml";
import { USER_WITHOUT_CREDENTIAL } from "../../common/kubeconfig-user.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { otherServer, takenBy } from "./plan.ts";
import type { ExecUser, WrittenContext } from "./written-context.ts";

export interface MergeOptions {
  /** Takes over names that belong to another server, or to another user. */
  readonly isReplacing: boolean;
  /** Becomes the current context. */
  readonly current?: string | undefined;
}

/** What is shown where the plugin is missing. */
const INSTALL_HINT =
  "kubectl-sallyport signs you in to this cluster and is not where this kubeconfig expects it: install it again, " +
  'then run "kubectl sallyport kubeconfig".';

/**
 * @param text the file as it is; undefined for a new one
 * @returns the file as it shall be, or why it cannot be changed
 */
export function mergeContexts(
  text: string | undefined,
  contexts: readonly WrittenContext[],
  { isReplacing, current }: MergeOptions,
): Result<string, string> {
  const parsed = parseKubeconfig(text);
  if (!parsed.ok) return parsed;
  const document = parsed.value;
  const present = [{ path: "", content: document.toJS() as unknown }];
  for (const context of contexts) {
    const taken = takenBy(present, context);
    if (taken !== undefined && !isReplacing) return err(taken);
  }
  for (const { name, server, certificateAuthority, exec } of contexts) {
    // Such as SALLYPORT_PROFILE: without it the next command would run as somebody else.
    const env = otherServer(present, name, server) === undefined ? execEnv(document, name) : undefined;
    const authority = certificateAuthority && Buffer.from(certificateAuthority).toString("base64");
    const cluster = { server, ...(authority && { "certificate-authority-data": authority }) };
    replaceField(document, "clusters", name, "cluster", cluster);
    replaceField(
      document,
      "users",
      name,
      "user",
      exec === undefined ? USER_WITHOUT_CREDENTIAL : { exec: execSection(exec, env) },
    );
    // The namespace that somebody has chosen for the context stays.
    for (const [field, value] of Object.entries({ cluster: name, user: name })) {
      contextOf(document, name).set(field, value);
    }
  }
  if (current !== undefined) document.set("current-context", current);
  return ok(document.toString({ lineWidth: 0 }));
}

function parseKubeconfig(text: string | undefined): Result<YamlDocument, string> {
  const source = text === undefined || text.trim() === "" ? "apiVersion: v1\nkind: Config\n" : text;
  const [document, ...more] = parseAllDocuments(source) as YamlDocument[];
  if (!document || more.length > 0 || document.errors.length > 0 || !isMap(document.contents)) {
    return err("it is not a kubeconfig in YAML or JSON: correct it, or name another file with --kubeconfig");
  }
  for (const list of ["clusters", "users", "contexts"]) {
    const value = document.get(list);
    if (value !== undefined && value !== null && !isSeq(value)) return err(`its ${list} is not a list: correct it`);
  }
  return ok(document);
}

function replaceField(document: YamlDocument, list: string, name: string, field: string, value: unknown): void {
  const node = document.createNode(value);
  const item = find(document, list, name);
  if (item) item.set(field, node);
  else listOf(document, list).add(document.createNode({ name, [field]: value }));
}

function contextOf(document: YamlDocument, name: string): YAMLMap {
  const item = find(document, "contexts", name);
  const context = item?.get("context");
  if (isMap(context)) return context as YAMLMap;
  replaceField(document, "contexts", name, "context", {});
  return find(document, "contexts", name)?.get("context") as YAMLMap;
}

function find(document: YamlDocument, list: string, name: string): YAMLMap | undefined {
  const items = document.get(list);
  if (!isSeq(items)) return undefined;
  return items.items.find((item): item is YAMLMap => isMap(item) && item.get("name") === name);
}

function listOf(document: YamlDocument, list: string): YAMLSeq {
  const items = document.get(list);
  if (isSeq(items)) {
    // kubectl writes `[]`; what is added to it should not stand in one line.
    if (items.items.length === 0) items.flow = false;
    return items as YAMLSeq;
  }
  document.set(list, document.createNode([]));
  return listOf(document, list);
}

/** @returns the variables that somebody has set for the plugin */
function execEnv(document: YamlDocument, name: string): YAMLSeq | undefined {
  const env = find(document, "users", name)?.getIn(["user", "exec", "env"]);
  return isSeq(env) ? (env as YAMLSeq) : undefined;
}

function execSection({ command, args }: ExecUser, env: YAMLSeq | undefined) {
  return {
    apiVersion: "client.authentication.k8s.io/v1",
    command,
    args,
    env: env ?? null,
    installHint: INSTALL_HINT,
    interactiveMode: "IfAvailable",
    provideClusterInfo: true,
  };
}
