import { err, ok, type Result } from "../../common/result.ts";
import type { Cluster } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";

/** Finds the cluster that a host name stands for. A cluster without host names answers to all of them. */
export function findClusterByHost(clusters: readonly Cluster[], hostname: string): Cluster | undefined {
  return clusters.find(({ hostnames }) => hostnames.length === 0 || hostnames.includes(hostname.toLowerCase()));
}

/**
 * Reads a request's URL, whose Host header must be a name with or without a port.
 *
 * The URL is made from that header as text. With `Host: /x`, the path of `http:///x/api/…` begins at `/x` for
 * one reader, and at `/api` for another, who takes `x` for the host.
 */
export function readUrl({ url: text, headers }: Request): Result<URL, Denial> {
  const url = URL.parse(text);
  const isValid = url !== null && isPlainHost(headers.get("Host") ?? url.host);
  return isValid ? ok(url) : err(denial("bad_request", "the Host header is not the name of a host"));
}

/** Whether a Host header is a name with or without a port, and nothing else. */
export function isPlainHost(host: string): boolean {
  return /^[\w.:[\]-]+$/.test(host);
}
