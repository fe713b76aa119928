/** Everything that runs during the benchmark: the cluster, its proxies, the Workers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { kubectlPath } from "../dev/programs/kubectl.ts";
import { Cleanups } from "../dev/stack/cleanups.ts";
import type { BenchCommand } from "./options.ts";
import { type Server, startServer } from "./processes.ts";
import { NOBODY, plainKubeconfig, plainVariant, startWorker, type Variant, WORKERS } from "./variants.ts";

const CLUSTER_MAIN = resolve(import.meta.dirname, "../dev/cluster/main.ts");
const PROXY_FLAGS = ["proxy", "--port=0", "--reject-paths=^$", "--accept-hosts=.*"];

export interface Environment {
  /** The cluster's description in the report. */
  readonly cluster: string;
  readonly variants: readonly Variant[];
  /** The address that the Workers send requests to. */
  readonly upstream: string;
  /** A folder of this run. */
  readonly home: string;
  stop(): Promise<void>;
}

/** Starts everything that the chosen variants need. Nothing is left running if it throws. */
export async function startEnvironment(
  command: Pick<BenchCommand, "cluster" | "variants">,
  signal: AbortSignal,
): Promise<Environment> {
  const cleanups = new Cleanups();
  try {
    const home = mkdtempSync(join(tmpdir(), "sallyport-bench-"));
    cleanups.add(() => rmSync(home, { recursive: true, force: true }));
    const { cluster, plain, upstream } = await startCluster(command, home, cleanups);
    const variants = plain.filter(({ name }) => command.variants.includes(name));
    for (const worker of WORKERS.filter(({ name }) => command.variants.includes(name))) {
      signal.throwIfAborted();
      const { stack, variant } = await startWorker(worker, upstream, home, signal);
      cleanups.add(() => stack.stop());
      variants.push(variant);
    }
    return { cluster, variants, upstream, home, stop: () => cleanups.run() };
  } catch (error) {
    await cleanups.run().catch(() => {});
    throw error;
  }
}

interface StartedCluster {
  readonly cluster: string;
  /** The variants without a Worker. */
  readonly plain: readonly Variant[];
  readonly upstream: string;
}

async function startCluster(
  { cluster }: Pick<BenchCommand, "cluster">,
  home: string,
  cleanups: Cleanups,
): Promise<StartedCluster> {
  const keep = (server: Server) => {
    cleanups.add(() => server.stop());
    return server.url;
  };
  if (cluster) {
    const context = cluster.context === undefined ? [] : [`--context=${cluster.context}`];
    const flags = [`--kubeconfig=${cluster.kubeconfig}`, ...context, ...PROXY_FLAGS];
    const url = keep(await startServer(kubectlPath(), flags));
    return {
      cluster: `${cluster.kubeconfig}${cluster.context === undefined ? "" : `, context ${cluster.context}`}`,
      plain: [plainVariant("kubectl-proxy", url, home, true)],
      upstream: url,
    };
  }
  // In a process of its own, so that it does not compete with the measurement.
  const args = [CLUSTER_MAIN, "--port", "0", "--state", join(home, "cluster")];
  const upstream = keep(await startServer(process.execPath, args));
  const direct = plainVariant("direct", upstream, home, true);
  const flags = [`--kubeconfig=${plainKubeconfig("direct", home)}`, `--context=${NOBODY}`, ...PROXY_FLAGS];
  const proxy = keep(await startServer(kubectlPath(), flags));
  return {
    cluster: "the embedded cluster",
    plain: [direct, plainVariant("kubectl-proxy", proxy, home, false)],
    upstream,
  };
}
