import type * as z from "zod";
import { ok } from "../../../common/result.ts";
import type { Cluster } from "../../config/schema.ts";
import { identify } from "../../policy/identify.ts";
import type { kubeconfig } from "../schemas/self-service.ts";
import type { Handler } from "./handler.ts";

type Kubeconfig = z.output<typeof kubeconfig>;

/**
 * The exec credential plugin. By its name on PATH, because the file must work on each machine that its reader
 * has. It learns the server from `provideClusterInfo`, so one user serves all clusters.
 */
const PLUGIN = {
  apiVersion: "client.authentication.k8s.io/v1",
  command: "kubectl-sallyport",
  args: ["credential"],
  installHint:
    "kubectl-sallyport signs you in to this cluster, and is not on your PATH. It is one file: ask whoever gave you " +
    "this kubeconfig for it. With WARP you do not need it: get the kubeconfig from /-/kubeconfig?auth=warp instead.",
  interactiveMode: "IfAvailable",
  provideClusterInfo: true,
} as const satisfies Kubeconfig["users"][number]["user"]["exec"];

/** The file has no secret: Access authenticates whoever uses it, by WARP or by a sign-in through the plugin. */
export const getKubeconfig: Handler<"getKubeconfig"> = async (
  { query },
  { url, subject, accessIdentity, identity, cluster, config },
) => {
  const auth = query.auth ?? (config.access.managedOAuth ? "plugin" : "warp");
  const reachable = config.clusters.filter(({ identities }) => identify(subject, accessIdentity, identities).ok);
  const file: Kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": cluster?.name ?? reachable[0]?.name ?? "",
    clusters: reachable.map((one) => ({ name: one.name, cluster: { server: serverOf(one, url) } })),
    users: [{ name: identity.name, user: auth === "plugin" ? { exec: PLUGIN } : {} }],
    contexts: reachable.map(({ name }) => ({ name, context: { cluster: name, user: identity.name } })),
  };
  // Every YAML reader takes JSON.
  return ok(
    new Response(`${JSON.stringify(file, null, 2)}\n`, {
      headers: {
        "Content-Type": "application/yaml",
        "Content-Disposition": 'attachment; filename="sallyport.kubeconfig"',
        "Cache-Control": "no-store",
      },
    }),
  );
};

/** The address that was asked, under the cluster's own host name. */
function serverOf({ hostnames }: Cluster, asked: URL): string {
  const [hostname = asked.hostname] = hostnames.includes(asked.hostname) ? [asked.hostname] : hostnames;
  return `${asked.protocol}//${hostname}${asked.port === "" ? "" : `:${asked.port}`}`;
}
