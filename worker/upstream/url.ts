import type { RequestTarget } from "../../kubernetes/path.ts";

/**
 * The binding decides where a request goes; the host only becomes the Host header. It is the one that the `kubectl proxy`
 * beside the tunnel is told to accept (terraform/manifests/pod.ts).
 */
export const UPSTREAM_HOST = "localhost";

/** The very path and query that were classified, at the cluster. TLS begins at the proxy, so this is plain HTTP. */
export function buildUpstreamUrl({ pathname, search }: RequestTarget): string {
  return `http://${UPSTREAM_HOST}${pathname}${search}`;
}
