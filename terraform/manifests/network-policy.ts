/** What the connector may talk to. Nothing may talk to it: the sidecar is on loopback, and cloudflared only calls out. */
import type { DeployedCluster } from "../config/schema.ts";
import { LABELS, METRICS_PORT, SELECTOR, TUNNEL_PORT } from "./names.ts";
import type { KubernetesObject } from "./types.ts";

/**
 * Cloudflare's own networks (https://www.cloudflare.com/ips/) that the tunnel's regions are in. Its addresses within them
 * change: https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/configure-tunnels/tunnel-with-firewall/
 */
const EDGE_CIDRS = ["198.41.128.0/17", "2606:4700::/32"] as const;
/** NodeLocal DNSCache, where a cluster has it: on the node's network, so no selector finds it. */
const NODE_LOCAL_DNS = "169.254.20.10/32";

export function networkPolicy(namespace: string, { apiServer, connector }: DeployedCluster): KubernetesObject {
  const dns = [NODE_LOCAL_DNS, ...connector.dns];
  const egress = [
    {
      to: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } } }, ...blocks(dns)],
      ports: [port("UDP", 53), port("TCP", 53)],
    },
    { to: blocks(apiServer.cidrs), ports: [port("TCP", apiServer.port)] },
    // No 443: it would be for updates, which are off, and for quick tunnels. TCP besides UDP is for cloudflared's own checks.
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
      // None at all, not an empty rule: that one would let everybody in.
      ...(metrics && { ingress: [metrics] }),
      egress,
    },
  };
}

function blocks(cidrs: readonly string[]): { readonly ipBlock: { readonly cidr: string } }[] {
  return cidrs.map((cidr) => ({ ipBlock: { cidr } }));
}

function port(protocol: "TCP" | "UDP", number: number) {
  return { protocol, port: number };
}
