/**
 * Finds what a request reaches behind a proxy subresource: the proxied API server may have proxies of its
 * own.
 */
import type { RequestInfo } from "./request-info.ts";

/** How many levels of encoding a workload may take off the path. Bounds the work on `%252525…`. */
const MAX_ENCODING_DEPTH = 4;

/**
 * Finds the node whose kubelet a request reaches through another proxy:
 * `clusters/m1/proxy/api/v1/nodes/n1/proxy/run/…` of an aggregated API, or a pod that serves an API server.
 *
 * The path behind a proxy belongs to another server, which may decode or clean it in its own way. So it is
 * searched at every level of encoding, without its empty segments, and for the legacy prefix `proxy/nodes/…`.
 *
 * @returns the node's name, empty where the path is encoded too often to be read; undefined without a nested
 *   kubelet
 */
export function findNestedKubelet({ isResourceRequest, subresource, parts }: RequestInfo): string | undefined {
  if (!isResourceRequest || subresource !== "proxy") return undefined;
  let tail = parts.slice(3).join("/");
  for (let depth = 0; depth <= MAX_ENCODING_DEPTH; depth++) {
    const node = findKubelet(tail);
    if (node !== undefined) return node;
    // Of ASCII only: no other character is in these names.
    const decoded = tail.replace(/%([2-7][0-9a-f])/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (decoded === tail) return undefined;
    tail = decoded;
  }
  return "";
}

function findKubelet(tail: string): string | undefined {
  const segments = tail.split(/[/\\]/).filter((segment) => segment !== "");
  for (const [index, segment] of segments.entries()) {
    const name = segments[index + 1];
    if (segment !== "nodes" || name === undefined) continue;
    if (segments[index + 2] === "proxy" || segments[index - 1] === "proxy") return name;
  }
  return undefined;
}
