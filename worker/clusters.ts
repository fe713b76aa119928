import type { Cluster } from "./config/schema.ts";

/** The cluster that a host name stands for. A cluster without hostnames answers to all. */
export function clusterOfHost(clusters: readonly Cluster[], hostname: string): Cluster | undefined {
  return clusters.find(({ hostnames }) => hostnames.length === 0 || hostnames.includes(hostname.toLowerCase()));
}
