/** Whether the network policy fits the cluster: the addresses of an API server change, and nobody is told. */
import { BlockList, isIPv6 } from "node:net";
import * as z from "zod";
import type { PlannedCluster } from "../../../deployment/plan.ts";
import { type Check, failure, passed, skipped, warning } from "../../check.ts";
import type { ClusterView } from "./cluster-view.ts";

const service = z.object({
  spec: z.object({ clusterIP: z.string().optional(), clusterIPs: z.array(z.string()).optional() }),
});
const slices = z.object({
  items: z.array(
    z.object({
      endpoints: z.array(z.object({ addresses: z.array(z.string()) })).nullish(),
      ports: z.array(z.object({ port: z.number() })).nullish(),
    }),
  ),
});

/** Pods reach the API server at every address that it has. */
export function networkPolicyCheck({ name, apiServer }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `network-policy:${name}`,
    run: async () => {
      if (!apiServer) return skipped("the deployment file has no network policy for this cluster");
      const listed = await view.get(
        slices,
        "endpointslices",
        "-n",
        "default",
        "-l",
        "kubernetes.io/service-name=kubernetes",
      );
      if (!listed.ok) return listed.error;
      const found = await view.get(service, "service", "kubernetes", "-n", "default");
      if (!found.ok) return found.error;
      const endpoints = listed.value.items.flatMap((slice) =>
        (slice.ports ?? []).flatMap(({ port }) =>
          (slice.endpoints ?? []).flatMap(({ addresses }) => addresses.map((address) => ({ address, port }))),
        ),
      );
      const apply = "correct clusters[].apiServer, npx sallyport synth, apply the cluster's stack";
      const isAllowed = isWithin(apiServer.cidrs);
      const closed = endpoints.filter(({ address, port }) => !isAllowed(address) || port !== apiServer.port);
      if (closed.length > 0) {
        const all = closed.map(({ address, port }) => `${address} port ${port}`).join(", ");
        return failure(`the API server is also at ${all}, which the network policy does not allow`, apply);
      }
      const { clusterIPs, clusterIP } = found.value.spec;
      const ips = clusterIPs ?? (clusterIP === undefined ? [] : [clusterIP]);
      const missing = ips.filter((ip) => !apiServer.serviceIps.includes(ip));
      if (missing.length > 0) {
        return warning(
          `the network policy does not allow the Service kubernetes at ${missing.join(", ")}`,
          `${apply}; EKS needs apiServer.serviceIps, most other clusters do not`,
        );
      }
      return passed("the network policy allows all addresses of the API server");
    },
  };
}

function isWithin(cidrs: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  const family = (address: string) => (isIPv6(address) ? "ipv6" : "ipv4");
  for (const cidr of cidrs) {
    const [network = "", bits] = cidr.split("/");
    list.addSubnet(network, Number(bits), family(network));
  }
  return (address) => list.check(address, family(address));
}
