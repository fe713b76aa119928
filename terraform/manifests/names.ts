/** Names, ports and versions of the connector: what a cluster holds of Sallyport. One place for each. */
import type { DeployedCluster, Deployment } from "../config/schema.ts";

/**
 * Workers VPC wants cloudflared 2026.8.2 or later. With digests: a tag can be moved. kubectl is the version that the tests
 * run with these very arguments; it speaks to API servers up to several versions away, for it only passes requests on.
 */
export const IMAGES = {
  cloudflared:
    "docker.io/cloudflare/cloudflared:2026.10.0@sha256:9b49eed8f62806d5d45ddf59ecefb5710429598ea6d3fcccd2af938f621b2b07",
  kubectl: "registry.k8s.io/kubectl:v1.36.3@sha256:6e4fce3c83651edb91b74bc67701c5cd263dd8aa3cd4254b1798d6425a5ab789",
} as const;

/** Where the sidecar listens, on loopback, and where the VPC service leads. */
export const PROXY_PORT = 8001;
/** cloudflared's own, on the pod's address. */
export const METRICS_PORT = 20_241;
/** Cloudflare's edge, QUIC. */
export const TUNNEL_PORT = 7_844;

export const DEPLOYMENT_NAME = "connector";
export const SERVICE_ACCOUNT_NAME = "connector";
export const TOKEN_SECRET = { name: "tunnel-token", key: "token" } as const;

export function namespaceOf({ name }: Deployment, { connector }: DeployedCluster): string {
  return connector.namespace ?? name;
}

/** Of the ClusterRole and its binding. */
export function roleNameOf({ name }: Deployment): string {
  return `${name}-connector`;
}

/** What Services, policies and budgets select by: never changed, for a Deployment's selector cannot be. */
export const SELECTOR = { "app.kubernetes.io/name": "sallyport-connector" } as const;

export const LABELS = {
  ...SELECTOR,
  "app.kubernetes.io/part-of": "sallyport",
  "app.kubernetes.io/component": "connector",
} as const;
