import type * as z from "zod";
import { ok } from "../../../common/result.ts";
import type { Cluster } from "../../config/schema.ts";
import { identify } from "../../policy/identify.ts";
import type { kubeconfig } from "../schemas/self-service.ts";
import type { Handler } from "./handler.ts";

/** The file has no credentials: Access authenticates whoever uses it, by WARP or through cloudflared. */
export const getKubeconfig: Handler<"getKubeconfig"> = async (
  _,
  { url, subject, accessIdentity, identity, cluster, config },
) => {
  const reachable = config.clusters.filter(({ identities }) => identify(subject, accessIdentity, identities).ok);
  const file: z.output<typeof kubeconfig> = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": cluster?.name ?? reachable[0]?.name ?? "",
    clusters: reachable.map((one) => ({ name: one.name, cluster: { server: serverOf(one, url) } })),
    users: [{ name: identity.name, user: {} }],
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
