/** `kubeconfig`. */
import { accessSync, constants } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { flag, oneOf, parsed, text } from "../../command-line/options.ts";
import { callApi } from "../api.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { changeKubeconfigs } from "../kubeconfig/write.ts";
import type { ExecUser, WrittenContext } from "../kubeconfig/written-context.ts";
import { isAccepted, type ListedCluster, listedClusters, rememberOrigins } from "../shared-sign-in.ts";
import { openStore } from "../store/store.ts";
import type { Surroundings } from "../surroundings.ts";
import { findTarget, type Target, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

const CONTEXT_PREFIX = "sallyport-";

export const kubeconfig = defineVerb({
  name: "kubeconfig",
  summary: "Writes a context for each cluster that you may reach",
  options: {
    ...targetOptions,
    auth: parsed("HOW", "how kubectl signs in: plugin, or warp", oneOf("plugin", "warp"), "plugin"),
    cluster: text("NAME", "only this cluster"),
    use: flag("make the deployment's cluster the current context"),
    replace: flag(`take over contexts named ${CONTEXT_PREFIX}CLUSTER that belong to another server`),
    print: flag("print a kubeconfig instead of changing one"),
  },
  positionals: { address: text("URL", "address of the deployment, as for --server") },
  notes: [
    `The contexts are named ${CONTEXT_PREFIX}CLUSTER. Nothing else in the file is changed, and the current context only ` +
      "with --use or where there is none.",
  ],
  run: async (values, surroundings) => {
    if (values.address !== undefined && values.server !== undefined) {
      throw new PluginFailure("usage", "give the address once");
    }
    // With an address --kubeconfig only says what to write, and need not exist.
    const target = await findTarget({ ...values, server: values.server ?? values.address }, surroundings);
    const answer = await callApi(target, { method: "GET", path: "/-/kubeconfig?auth=warp" });
    const clusters = listedClusters(answer)?.filter(
      ({ name }) => values.cluster === undefined || name === values.cluster,
    );
    if (clusters === undefined) throw new PluginFailure("api", `${target.origin} did not answer with a kubeconfig`);
    if (clusters.length === 0) {
      const which = values.cluster === undefined ? "no cluster" : `no cluster named ${values.cluster}`;
      throw new PluginFailure("api", `you may reach ${which} there: ask whoever maintains the identity rules`);
    }
    const contexts = await contextsOf(clusters, target, values.auth === "plugin");
    const own = clusters.find(({ server }) => new URL(server).origin === target.origin) ?? clusters[0];
    const current = values.use && own ? CONTEXT_PREFIX + own.name : undefined;
    if (values.print) {
      // The YAML library takes longer to start than all the rest, and kubectl waits for other verbs.
      const { mergeContexts } = await import("../kubeconfig/merge.ts");
      const options = { isReplacing: values.replace, current: current ?? contexts[0]?.name };
      const printed = mergeContexts(undefined, contexts, options);
      if (!printed.ok) throw new PluginFailure("bad_kubeconfig", printed.error);
      surroundings.print(printed.value.trimEnd());
      return EXIT_CODES.done;
    }
    const options = { isReplacing: values.replace, current };
    for (const { path, contexts: written } of await changeKubeconfigs(
      surroundings,
      values.kubeconfig,
      contexts,
      options,
    )) {
      for (const { name } of written) surroundings.print(`${path} has the context ${name}.`);
    }
    return EXIT_CODES.done;
  },
});

async function contextsOf(
  clusters: readonly ListedCluster[],
  target: Target,
  hasPlugin: boolean,
): Promise<WrittenContext[]> {
  const program = hasPlugin ? pluginCommand(target.surroundings) : undefined;
  const shared = hasPlugin ? await sharedOrigins(clusters, target) : new Set<string>();
  return clusters.map(({ name, server }) => {
    const { origin } = new URL(server);
    // Always named, for clients that do not tell the plugin about the cluster.
    const application = (shared.has(origin) && target.application?.origin) || origin;
    return {
      name: CONTEXT_PREFIX + name,
      server,
      // It may be needed for the other host names, too; whoever trusts a public authority needs none.
      certificateAuthority: target.certificateAuthority,
      exec: program && { ...program, args: [...program.args, "credential", "--application", application] },
    };
  });
}

/**
 * The clusters that this deployment's sign-in serves. Others are of another application, and have their own.
 */
async function sharedOrigins(clusters: readonly ListedCluster[], target: Target): Promise<ReadonlySet<string>> {
  const { application, surroundings, certificateAuthority } = target;
  const store = openStore(surroundings);
  const record = application && (await store.read(application.id));
  // On a device with WARP nobody has signed in yet.
  if (!application || !record) return new Set();
  const origins = [...new Set(clusters.map(({ server }) => new URL(server).origin))];
  const authority = certificateAuthority ?? record.certificateAuthority;
  const accepted = await Promise.all(
    origins.map((origin) =>
      origin === application.origin ? true : isAccepted(origin, record, authority).catch(() => false),
    ),
  );
  const shared = origins.filter((_, index) => accepted[index]);
  await rememberOrigins(application, shared, store);
  return new Set(shared);
}

/** How the kubeconfig starts this program: by its name where that is on PATH, else by where it is. */
function pluginCommand({ env, platform }: Surroundings): ExecUser {
  const name = "kubectl-sallyport";
  const script = process.argv[1] ?? process.execPath;
  // In a single executable the first argument is the executable itself.
  const isScript = basename(process.execPath).startsWith("node") && script !== process.execPath;
  const own = isScript ? script : process.execPath;
  const file = platform === "win32" ? `${name}.exe` : name;
  if ((env["PATH"] ?? "").split(delimiter).some((folder) => folder !== "" && isExecutable(join(folder, file)))) {
    return { command: name, args: [] };
  }
  return isScript && platform === "win32" ? { command: process.execPath, args: [own] } : { command: own, args: [] };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
