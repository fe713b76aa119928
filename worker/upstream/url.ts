import type { RequestTarget } from "../../kubernetes/path.ts";

/**
 * The host of upstream URLs. The binding decides where a request goes, so this only becomes the Host header:
 * the one that the `kubectl proxy` beside the tunnel accepts (terraform/manifests/pod.ts).
 */
export const UPSTREAM_HOST = "localhost";

/**
 * Makes the upstream URL from exactly the path and query that were classified. TLS begins at `kubectl proxy`.
 */
export function buildUpstreamUrl({ pathname, search }: RequestTarget): string {
  return `http://${UPSTREAM_HOST}${pathname}${search}`;
}
