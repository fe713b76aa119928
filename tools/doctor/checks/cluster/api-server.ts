/** The cluster's API server: its version and its clock. */
import * as z from "zod";
import type { PlannedCluster } from "../../../deployment/plan.ts";
import { type Check, failure, passed, warning } from "../../check.ts";
import { isAtLeast } from "../../version.ts";
import type { ClusterView } from "./cluster-view.ts";

const serverVersion = z.object({ gitVersion: z.string() });

/** Kubernetes accepts WebSockets for exec by default since 1.30, for port-forward since 1.31 (KEP-4006). */
export function serverVersionCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `server-version:${name}`,
    run: async () => {
      const printed = await view.run(["get", "--raw", "/version"]);
      if (!printed.ok) return printed.error;
      const { gitVersion } = serverVersion.parse(JSON.parse(printed.value.stdout));
      const update = "update to Kubernetes 1.31 or later";
      if (isAtLeast(gitVersion, "1.31")) return passed(gitVersion);
      if (isAtLeast(gitVersion, "1.30")) {
        return warning(`${gitVersion}: port-forward needs the feature gate PortForwardWebsockets`, update);
      }
      return failure(`${gitVersion}: this API server accepts no WebSockets by default`, update);
    },
  };
}

/** The API server's clock, as an HTTP date. @returns undefined where it cannot be read */
export async function clusterDate(view: ClusterView): Promise<string | undefined> {
  // At this level kubectl logs the headers of answers, and those of requests except credentials. One line is
  // kept.
  const printed = await view.run(["get", "--raw", "/version", "-v=8"]);
  if (!printed.ok) return undefined;
  return /\bDate: (\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT)/.exec(printed.value.stderr)?.[1];
}
