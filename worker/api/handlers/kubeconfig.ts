import type * as z from "zod";
import { USER_WITHOUT_CREDENTIAL } from "../../../common/kubeconfig-user.ts";
import { ok } from "../../../common/result.ts";
import type { Cluster, Config } from "../../config/schema.ts";
import { identify } from "../../policy/identify.ts";
import type { kubeconfig } from "../schemas/self-service.ts";
import type { Handler } from "./handler.ts";

type Kubeconfig = z.output<typeof kubeconfig>;

type User = Kubeconfig["users"][number];
type Exec = NonNullable<User["user"]["exec"]>;

const INSTALL_HINT =
  "kubectl-sallyport signs you in to this cluster, and is not on your PATH. It is one file: ask whoever gave you " +
  "this kubeconfig for it. With WARP you do not need it: get the kubeconfig from /-/kubeconfig?auth=warp instead.";

/**
 * The file has no secret: Access authenticates whoever uses it, by WARP or by a sign-in through the plugin.
 */
export const getKubeconfig: Handler<"getKubeconfig"> = async (
  { query },
  { url, subject, accessIdentity, identity, cluster, config },
) => {
  const auth = query.auth ?? (config.access.managedOAuth ? "plugin" : "warp");
  const reachable = config.clusters.filter(({ identities }) => identify(subject, accessIdentity, identities).ok);
  const [first] = reachable;
  const isShared = auth === "warp" || isOneApplication(config.access);
  const userNameOf = ({ name }: Cluster) => (isShared ? identity.name : `${identity.name}/${name}`);
  const file: Kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": cluster?.name ?? first?.name ?? "",
    clusters: reachable.map((one) => ({ name: one.name, cluster: { server: serverOf(one, url) } })),
    users:
      auth === "warp"
        ? [{ name: identity.name, user: USER_WITHOUT_CREDENTIAL }]
        : (isShared ? reachable.slice(0, 1) : reachable).map((one) => pluginUser(userNameOf(one), serverOf(one, url))),
    contexts: reachable.map((one) => ({ name: one.name, context: { cluster: one.name, user: userNameOf(one) } })),
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

/** Whether all clusters' host names are in one Access application, whose sign-in counts for each of them. */
function isOneApplication({ audiences, adminAudiences = [], serviceAudiences = [] }: Config["access"]): boolean {
  const others = [...adminAudiences, ...serviceAudiences];
  return audiences.filter((audience) => !others.includes(audience)).length === 1;
}

/**
 * Somebody who signs in through the exec credential plugin.
 *
 * @param application an address of the Access application. Named, because not every client tells a plugin which
 *   cluster it asks, and because a sign-in is kept by this address
 */
function pluginUser(name: string, application: string): User {
  const exec: Exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    // By its name on PATH, because the file must work on each machine that its reader has.
    command: "kubectl-sallyport",
    args: ["credential", "--application", application],
    installHint: INSTALL_HINT,
    interactiveMode: "IfAvailable",
    provideClusterInfo: true,
  };
  return { name, user: { exec } };
}

/** The address that was asked, under the cluster's own host name. */
function serverOf({ hostnames }: Cluster, asked: URL): string {
  const [hostname = asked.hostname] = hostnames.includes(asked.hostname) ? [asked.hostname] : hostnames;
  return `${asked.protocol}//${hostname}${asked.port === "" ? "" : `:${asked.port}`}`;
}
