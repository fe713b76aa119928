/**
 * What the connector may connect to. Nothing may connect to it: the sidecar is on loopback, cloudflared only
 * dials out.
 */
import type { DeployedCluster } from "../config/schema.ts";
import { LABELS, METRICS_PORT, SELECTOR, TUNNEL_PORT } from "./names.ts";
import { PLATFORMS, serviceIpsOf } from "./platforms.ts";
import type { KubernetesObject } from "./types.ts";

/**
 * Cloudflare's networks (https://www.cloudflare.com/ips/) that contain the tunnel's regions. The addresses
 * within change:
 * https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/configure-tunnels/tunnel-with-firewall/
 */
const EDGE_CIDRS = ["198.41.128.0/17", "2606:4700::/32"] as const;
/** NodeLocal DNSCache, where a cluster has it. It is on the node's network, so no selector matches it. */
const NODE_LOCAL_DNS = "169.254.20.10/32";

/** Of the Service `kubernetes`, in every cluster. */
const SERVICE_PORT = 443;

export function networkPolicy(namespace: string, { apiServer, connector }: DeployedCluster): KubernetesObject {
  const { platform } = apiServer;
  const dns = [NODE_LOCAL_DNS, ...(platform === undefined ? [] : PLATFORMS[platform].dns), ...connector.dns];
  const serviceIps = serviceIpsOf(apiServer);
  const egress = [
    {
      to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }, ...blocks(dns)],
      ports: [port("UDP", 53), port("TCP", 53)],
    },
    // Where the Service's address is translated before a policy is applied: the endpoints.
    { to: blocks(apiServer.cidrs), ports: [port("TCP", apiServer.port)] },
    // Where it is applied before (Amazon's VPC CNI): the Service.
    ...(serviceIps.length === 0
      ? []
      : [{ to: blocks(serviceIps.map(singleAddress)), ports: [port("TCP", SERVICE_PORT)] }]),
    // Not 443, which is for updates (they are off) and quick tunnels. TCP is for cloudflared's own
    // connectivity checks.
    { to: blocks(EDGE_CIDRS), ports: [port("UDP", TUNNEL_PORT), port("TCP", TUNNEL_PORT)] },
  ];
  const { metricsFrom } = connector;
  const metrics = metricsFrom !== undefined && {
    from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": metricsFrom } } }],
    ports: [port("TCP", METRICS_PORT)],
  };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "connector", namespace, labels: LABELS },
    spec: {
      podSelector: { matchLabels: SELECTOR },
      policyTypes: ["Ingress", "Egress"],
      // Without rules nothing is admitted. An empty rule would admit everything.
      ...(metrics && { ingress: [metrics] }),
      egress,
    },
  };
}

function singleAddress(ip: string): string {
  return `${ip}/${ip.includes(":") ? 128 : 32}`;
}

function blocks(cidrs: readonly string[]): { readonly ipBlock: { readonly cidr: string } }[] {
  return cidrs.map((cidr) => ({ ipBlock: { cidr } }));
}

function port(protocol: "TCP" | "UDP", number: number) {
  return { protocol, port: number };
}
