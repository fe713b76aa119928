import type { Cluster } from "../config/schema.ts";
import { identify } from "../policy/identify.ts";
import type { ApiRequest } from "./request.ts";

/**
 * `GET /-/kubeconfig`: a kubeconfig with a context for each cluster that one may reach. It has no credentials: Access is
 * what lets its bearer in (WARP, or a browser's sign-in through cloudflared).
 */
export function serveKubeconfig({ url, subject, details, identity, cluster: asked, config }: ApiRequest): Response {
  const reachable = config.clusters.filter(({ identities }) => identify(subject, details, identities).ok);
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": asked?.name ?? reachable[0]?.name ?? "",
    clusters: reachable.map((cluster) => ({ name: cluster.name, cluster: { server: serverOf(cluster, url) } })),
    users: [{ name: identity.name, user: {} }],
    contexts: reachable.map(({ name }) => ({ name, context: { cluster: name, user: identity.name } })),
  };
  // Every YAML reader takes JSON.
  return new Response(`${JSON.stringify(kubeconfig, null, 2)}\n`, {
    headers: {
      "Content-Type": "application/yaml",
      "Content-Disposition": 'attachment; filename="sallyport.kubeconfig"',
      "Cache-Control": "no-store",
    },
  });
}

/** The address that was asked, under the cluster's own name. */
function serverOf({ hostnames }: Cluster, asked: URL): string {
  const [hostname = asked.hostname] = hostnames.includes(asked.hostname) ? [asked.hostname] : hostnames;
  return `${asked.protocol}//${hostname}${asked.port === "" ? "" : `:${asked.port}`}`;
}
