/**
 * The connector's pod: cloudflared, and beside it the one process that holds the account's token.
 *
 * Why `kubectl proxy` and not Envoy or nginx: it is client-go. It reads the projected token anew every minute, verifies the
 * API server by the cluster's own CA, gives it every upgrade as it comes, and is released and mended with Kubernetes, in an
 * image without a shell. The others would need the token written into their configuration again and again.
 */
import { UPSTREAM_HOST } from "../../worker/upstream/url.ts";
import { METRICS_PORT, PROXY_PORT, TOKEN_SECRET } from "./names.ts";
import type { Container } from "./types.ts";

/** Distroless' `nonroot`. kubectl's image names no user, so it is said here. */
const NONROOT = 65_532;
/**
 * How long a pod that is to stop lets running sessions go on, while new ones already go to other pods. The most that
 * cloudflared accepts is three minutes.
 */
const DRAIN_SECONDS = 180;
/** The sidecar is ended after cloudflared; without work left it is gone at once. */
const STOP_SECONDS = DRAIN_SECONDS + 30;

const ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const TUNNEL_TOKEN_PATH = "/etc/cloudflared";

/**
 * - `--address`: loopback only, so nothing but this pod reaches it.
 * - `--accept-hosts`: what the Worker puts into the URL becomes the Host header. A port behind it is not looked at.
 * - `--reject-paths`, `--reject-methods`: by default exec and attach are refused; these refuse nothing. What is refused is
 *   decided by the Worker and by RBAC. `--disable-filter` would open the host check, too.
 * - `--v=0`: from 6 up it logs requests, from 8 up their bodies.
 * - Left as they are: `--api-prefix` is `/`, so paths stay as the Worker wrote them; `--keepalive` is 0, which to Go means a
 *   probe every 15 s; without `--www` no file is served.
 */
export const PROXY_ARGS: readonly string[] = [
  "proxy",
  "--address=127.0.0.1",
  `--port=${PROXY_PORT}`,
  `--accept-hosts=^${UPSTREAM_HOST.replaceAll(".", String.raw`\.`)}$`,
  "--reject-paths=^$",
  "--reject-methods=^$",
  "--v=0",
];

const CONFINED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  runAsNonRoot: true,
  capabilities: { drop: ["ALL"] },
};

/** The sidecar. Native (an init container that is restarted): it is ready before cloudflared starts, and ends after it. */
function proxy(image: string): Container {
  // Through the proxy, as the account itself: it proves the token, the CA and the way to the API server. There is no liveness
  // probe, for while the API server is away a restart would only cut whatever sessions are still alive.
  const exec = {
    command: [
      "/bin/kubectl",
      `--server=http://${UPSTREAM_HOST}:${PROXY_PORT}`,
      "--request-timeout=5s",
      "get",
      "--raw=/readyz",
    ],
  };
  return {
    name: "proxy",
    image,
    imagePullPolicy: "IfNotPresent",
    restartPolicy: "Always",
    args: PROXY_ARGS,
    startupProbe: { exec, periodSeconds: 2, timeoutSeconds: 10, failureThreshold: 30 },
    readinessProbe: { exec, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 3 },
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "256Mi" } },
    securityContext: CONFINED,
    volumeMounts: [{ name: "account", mountPath: ACCOUNT_PATH, readOnly: true }],
  };
}

function cloudflared(image: string): Container {
  const ready = { path: "/ready", port: METRICS_PORT };
  return {
    name: "cloudflared",
    image,
    imagePullPolicy: "IfNotPresent",
    args: [
      "tunnel",
      "--no-autoupdate",
      // Workers VPC needs it; without it cloudflared would fall back to HTTP/2 where UDP is shut, and every request would fail.
      "--protocol=quic",
      // Brackets are for IPv6 and harmless to IPv4.
      `--metrics=[$(POD_IP)]:${METRICS_PORT}`,
      `--grace-period=${DRAIN_SECONDS}s`,
      "run",
      // In a file it is in nobody's environment, process list or `kubectl describe`.
      `--token-file=${TUNNEL_TOKEN_PATH}/${TOKEN_SECRET.key}`,
    ],
    env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    ports: [{ name: "metrics", containerPort: METRICS_PORT, protocol: "TCP" }],
    readinessProbe: { httpGet: ready, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
    // Two minutes without any connection to Cloudflare: it reconnects by itself, unless it hangs.
    livenessProbe: {
      httpGet: ready,
      initialDelaySeconds: 20,
      periodSeconds: 20,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "512Mi" } },
    securityContext: CONFINED,
    volumeMounts: [{ name: "tunnel-token", mountPath: TUNNEL_TOKEN_PATH, readOnly: true }],
  };
}

/** @returns a PodSpec */
export function podSpec(
  {
    serviceAccountName,
    images,
  }: {
    readonly serviceAccountName: string;
    readonly images: { readonly cloudflared: string; readonly kubectl: string };
  },
  selector: Readonly<Record<string, string>>,
) {
  const labelSelector = { matchLabels: selector };
  return {
    serviceAccountName,
    // The token is for the sidecar alone: it is mounted there by hand, and cloudflared, which faces the network, has none.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: STOP_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: NONROOT,
      runAsGroup: NONROOT,
      fsGroup: NONROOT,
      seccompProfile: { type: "RuntimeDefault" },
    },
    // Preferred, not required: on a cluster of two nodes three pods are still better than two.
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { labelSelector, topologyKey: "kubernetes.io/hostname" } },
        ],
      },
    },
    topologySpreadConstraints: ["topology.kubernetes.io/zone", "kubernetes.io/hostname"].map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector,
    })),
    initContainers: [proxy(images.kubectl)],
    containers: [cloudflared(images.cloudflared)],
    volumes: [
      { name: "account", projected: { defaultMode: 0o440, sources: accountSources() } },
      { name: "tunnel-token", secret: { secretName: TOKEN_SECRET.name, defaultMode: 0o440 } },
    ],
  };
}

/** What automounting would have projected. `kubectl` looks for it at its usual path. */
function accountSources() {
  return [
    { serviceAccountToken: { path: "token", expirationSeconds: 3_600 } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
  ];
}
