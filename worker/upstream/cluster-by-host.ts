import type { Cluster } from "../config/schema.ts";

/** The cluster that a host name stands for. A cluster without hostnames answers to all. */
export function findClusterByHost(clusters: readonly Cluster[], hostname: string): Cluster | undefined {
  return clusters.find(({ hostnames }) => hostnames.length === 0 || hostnames.includes(hostname.toLowerCase()));
}

/**
 * Whether a Host header is a name and a port, and nothing else.
 *
 * The request's URL is made of it, as text: with `Host: /x` the path of `http:///x/api/…` begins at `/x` for one reader
 * and at `/api` for another, who takes `x` for the host.
 */
export function isPlainHost(host: string): boolean {
  return /^[\w.:[\]-]+$/.test(host);
}
