/** Names, ports and images of the connector: the one place of each. */
import { SIDECAR_PORT } from "../../contract/upstream.ts";
import type { DeployedCluster, Deployment } from "../config/schema.ts";

/**
 * Images with digests, because a tag can be moved. Workers VPC needs cloudflared 2026.8.2 or later. kubectl
 * is the version that the tests run. It works with API servers several versions older or newer, because it
 * only forwards requests.
 */
export const IMAGES = {
  cloudflared:
    "docker.io/cloudflare/cloudflared:2026.10.0@sha256:9b49eed8f62806d5d45ddf59ecefb5710429598ea6d3fcccd2af938f621b2b07",
  kubectl: "registry.k8s.io/kubectl:v1.36.3@sha256:6e4fce3c83651edb91b74bc67701c5cd263dd8aa3cd4254b1798d6425a5ab789",
} as const;

/** The sidecar's port on loopback, to which the VPC services lead. */
export const PROXY_PORT = SIDECAR_PORT;
/** cloudflared's metrics, on the pod's address. */
export const METRICS_PORT = 20_241;
/** Cloudflare's edge, for QUIC. */
export const TUNNEL_PORT = 7_844;

export const DEPLOYMENT_NAME = "connector";
export const SERVICE_ACCOUNT_NAME = "connector";
export const TOKEN_SECRET = { name: "tunnel-token", key: "token" } as const;

export function namespaceOf({ name }: Deployment, { connector }: DeployedCluster): string {
  return connector.namespace ?? name;
}

/** The name of the ClusterRole and of its binding. */
export function roleNameOf({ name }: Deployment): string {
  return `${name}-connector`;
}

/**
 * The selector of policies, budgets and the Deployment. Never change it: a Deployment's selector is
 * immutable.
 */
export const SELECTOR = { "app.kubernetes.io/name": "sallyport-connector" } as const;

export const LABELS = {
  ...SELECTOR,
  "app.kubernetes.io/part-of": "sallyport",
  "app.kubernetes.io/component": "connector",
} as const;
