/** The way from the Workers into a cluster: VPC service, tunnel, and cloudflared at its end. */
import * as z from "zod";
import type { PlannedCluster } from "../../../deployment/plan.ts";
import type { Cloudflare } from "../../../ports/cloudflare.ts";
import { type Check, type Finding, failure, passed, skipped, warning } from "../../check.ts";
import { isAtLeast, parseVersion } from "../../version.ts";
import { accountCheck } from "./account-check.ts";

const TUNNEL_PERMISSION = "Cloudflare Tunnel Read";

const tunnelSchema = z.object({ status: z.string(), deleted_at: z.string().nullish() });
const connectorsSchema = z.array(
  z.object({ version: z.string().default("unknown"), conns: z.array(z.unknown()).default([]) }),
);

/** The connectors of a tunnel that have a connection. */
async function readConnectors(cloudflare: Cloudflare, tunnelId: string) {
  const connectors = await cloudflare.get(`cfd_tunnel/${tunnelId}/connections`, connectorsSchema);
  return connectors.filter(({ conns }) => conns.length > 0);
}

/** The tunnel is healthy and has as many connectors as the deployment file says. */
export function tunnelCheck({ name, tunnelId, connector }: PlannedCluster, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: `tunnel:${name}`,
    api,
    permission: TUNNEL_PERMISSION,
    run: async (cloudflare) => {
      const { status, deleted_at } = await cloudflare.get(`cfd_tunnel/${tunnelId}`, tunnelSchema);
      if (deleted_at) return failure("the tunnel is deleted", "apply the edge stack, then the cluster's");
      const logs = `see "kubectl -n ${connector.namespace} logs deployment/${connector.deployment}"`;
      const connectors = await readConnectors(cloudflare, tunnelId);
      const count = `${connectors.length} of ${connector.replicas} connectors`;
      if (status === "down" || status === "inactive" || connectors.length === 0) {
        return failure(`the tunnel is ${status}, ${count}`, `${logs}; QUIC needs UDP to port 7844 outward`);
      }
      if (connectors.length < connector.replicas) return failure(`the tunnel has only ${count}`, logs);
      if (status !== "healthy") return warning(`the tunnel is ${status}, ${count}`, logs);
      return passed(`healthy, ${count}`);
    },
  });
}

/** Older versions do not pass WebSockets of Workers VPC. */
const MIN_CLOUDFLARED = "2026.8.2";
/** Cloudflare supports a release for a year. */
const MAX_AGE_MONTHS = 12;

/** Every connector runs a cloudflared that works with Workers VPC and is supported. */
export function cloudflaredVersionCheck(
  { name, tunnelId }: PlannedCluster,
  api: Cloudflare | undefined,
  { now }: { readonly now: () => number },
): Check {
  return accountCheck({
    id: `cloudflared-version:${name}`,
    api,
    permission: TUNNEL_PERMISSION,
    run: async (cloudflare) => {
      const connectors = await readConnectors(cloudflare, tunnelId);
      const versions = [...new Set(connectors.map(({ version }) => version))];
      if (versions.length === 0) return skipped("no connector is connected");
      const update =
        "raise the cloudflared version in the deployment file, npx sallyport synth, apply the cluster's stack";
      const old = versions.filter((version) => !isAtLeast(version, MIN_CLOUDFLARED));
      if (old.length > 0) return failure(`cloudflared ${old.join(", ")}: older than ${MIN_CLOUDFLARED}`, update);
      const unsupported = versions.filter((version) => monthsSince(version, now()) > MAX_AGE_MONTHS);
      if (unsupported.length > 0) {
        return warning(`cloudflared ${unsupported.join(", ")}: older than a year, so out of support`, update);
      }
      return passed(`cloudflared ${versions.join(", ")}`);
    },
  });
}

/** Versions of cloudflared begin with year and month. */
function monthsSince(version: string, now: number): number {
  const [year, month] = parseVersion(version) ?? [0, 0, 0];
  const today = new Date(now);
  return (today.getUTCFullYear() - year) * 12 + today.getUTCMonth() + 1 - month;
}

const vpcService = z.object({
  type: z.string(),
  http_port: z.number().nullish(),
  tcp_port: z.number().nullish(),
  host: z.object({
    network: z.object({ tunnel_id: z.string() }).optional(),
    resolver_network: z.object({ tunnel_id: z.string() }).optional(),
  }),
});

const VPC_PERMISSION = "Connectivity Directory Read";

/** The VPC service that the Workers are bound to leads through this cluster's tunnel to the sidecar. */
export function vpcServiceCheck(cluster: PlannedCluster, api: Cloudflare | undefined): Check {
  return accountCheck({
    id: `vpc-service:${cluster.name}`,
    api,
    permission: VPC_PERMISSION,
    run: (cloudflare) => examineService(cluster, cluster.vpcServiceId, "http", cloudflare),
  });
}

/** Sessions can reach the cluster the way that the deployment file asks for. */
export function vpcTcpServiceCheck(cluster: PlannedCluster, api: Cloudflare | undefined): Check {
  const { tcp } = cluster;
  return accountCheck({
    id: `vpc-tcp-service:${cluster.name}`,
    api,
    permission: VPC_PERMISSION,
    run: async (cloudflare) => {
      if (!tcp.isWanted) return passed("none is needed: sessions go by WebSocket, as the deployment file says");
      if (tcp.service) return examineService(cluster, tcp.service.vpcServiceId, "tcp", cloudflare);
      return warning(
        "there is none, so sessions go by WebSocket, without back-pressure",
        'npx sallyport synth, apply the edge stack, npx sallyport deploy; or say "transport": "websocket"',
      );
    },
  });
}

async function examineService(
  { tunnelId, connector }: PlannedCluster,
  id: string,
  type: "http" | "tcp",
  cloudflare: Cloudflare,
): Promise<Finding> {
  const service = await cloudflare.get(`connectivity/directory/services/${id}`, vpcService);
  const apply = "apply the edge stack, which corrects this";
  if ((service.host.network ?? service.host.resolver_network)?.tunnel_id !== tunnelId) {
    return failure("it leads into another tunnel", apply);
  }
  const port = service.type === "tcp" ? service.tcp_port : service.http_port;
  if (service.type !== type || port !== connector.port) {
    return failure(`it points to ${service.type} port ${port ?? "none"}, not ${type} ${connector.port}`, apply);
  }
  return passed(`it leads into the cluster's tunnel, port ${connector.port}`);
}
