import type { Cleanups } from "./cleanups.ts";
import { StackError } from "./errors.ts";
import { parseUpstream } from "./upstream.ts";

/** The cluster that the Workers send requests to. */
export interface Cluster {
  /** Its name in the audit log. */
  readonly name: string;
  readonly url: string;
  /** `host:port` */
  readonly address: string;
  readonly embedded: boolean;
  /** Audit log of the embedded cluster. A real one keeps its own. */
  readonly auditLog: string | undefined;
}

/** Uses a real cluster behind `kubectl proxy`. */
export function useUpstream(upstream: string, print: (line: string) => void): Cluster {
  const parsed = parseUpstream(upstream);
  if ("fault" in parsed) throw new StackError(`the upstream ${parsed.fault}`);
  if (parsed.remote) print(`Note: ${parsed.url} is not this machine, and requests to it are not encrypted.`);
  return { name: "local", url: parsed.url, address: parsed.address, embedded: false, auditLog: undefined };
}

/** Starts a cluster in this process and its children. */
export async function startEmbedded(stateDir: string, cleanups: Cleanups, name = "embedded"): Promise<Cluster> {
  // Imported only when needed, because it loads a native module for terminals.
  const { startEmbeddedCluster } = await import("../cluster/index.ts");
  const cluster = await startEmbeddedCluster({ stateDir, name });
  cleanups.add(() => cluster.close());
  return { name, url: cluster.url, address: new URL(cluster.url).host, embedded: true, auditLog: cluster.auditLog };
}
