/**
 * The connector's pod: cloudflared, and a sidecar, the only process with the service account's token.
 *
 * The sidecar is `kubectl proxy` and not Envoy or nginx, because it is client-go: it rereads the projected
 * token every minute, verifies the API server by the cluster's CA, and forwards every upgrade unchanged. It
 * is released and patched with Kubernetes, in an image without a shell. The others would need the token in
 * their configuration, rewritten each time.
 */
import { UPSTREAM_HOST } from "../../worker/upstream/url.ts";
import { METRICS_PORT, PROXY_PORT, TOKEN_SECRET } from "./names.ts";
import type { Container } from "./types.ts";

/** The user `nonroot` of distroless images. kubectl's image sets no user. */
const NONROOT = 65_532;
/**
 * How long a stopping pod keeps running sessions, while new ones use other pods. cloudflared accepts three
 * minutes at most.
 */
const DRAIN_SECONDS = 180;
/** The sidecar stops after cloudflared; by then it has nothing left to do. */
const STOP_SECONDS = DRAIN_SECONDS + 30;

const ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const TUNNEL_TOKEN_PATH = "/etc/cloudflared";

/**
 * - `--address`: loopback only, so that only this pod reaches it.
 * - `--accept-hosts`: the host of the Worker's URL becomes the Host header. A port after it is ignored.
 * - `--reject-paths`, `--reject-methods`: by default exec and attach are refused, with these values nothing.
 *   The Worker and RBAC decide what is refused. `--disable-filter` would disable the host check as well.
 * - `--v=0`: from 6 on it logs requests, from 8 on their bodies.
 * - Defaults that matter: `--api-prefix` is `/`, so paths stay as the Worker wrote them; `--keepalive` is 0,
 *   for which Go probes every 15 s; without `--www` no file is served.
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

/**
 * The sidecar, an init container that is restarted: it is ready before cloudflared starts, and stops after
 * it.
 */
function proxy(image: string): Container {
  // Asks the API server through the proxy, which tests the token, the CA and the network. There is no
  // liveness probe: while the API server is away, a restart would only cut the sessions that are still alive.
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
      // Workers VPC needs QUIC. By default cloudflared falls back to HTTP/2 where UDP is blocked, and every
      // request fails.
      "--protocol=quic",
      // The brackets are needed for IPv6 and allowed for IPv4.
      `--metrics=[$(POD_IP)]:${METRICS_PORT}`,
      `--grace-period=${DRAIN_SECONDS}s`,
      "run",
      // In a file the token is in no environment, process list or output of `kubectl describe`.
      `--token-file=${TUNNEL_TOKEN_PATH}/${TOKEN_SECRET.key}`,
    ],
    env: [{ name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
    ports: [{ name: "metrics", containerPort: METRICS_PORT, protocol: "TCP" }],
    readinessProbe: { httpGet: ready, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2 },
    // After two minutes without a connection to Cloudflare: cloudflared reconnects by itself, unless it
    // hangs.
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

/** The PodSpec. */
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
    // Only the sidecar gets the token, by a volume of its own. cloudflared, which faces the network, has
    // none.
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
    // Preferred, not required: on two nodes three pods are still better than two.
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

/** What automounting would project, at the path where kubectl expects it. */
function accountSources() {
  return [
    { serviceAccountToken: { path: "token", expirationSeconds: 3_600 } },
    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
    { downwardAPI: { items: [{ path: "namespace", fieldRef: { fieldPath: "metadata.namespace" } }] } },
  ];
}
