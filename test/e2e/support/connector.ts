/**
 * Adapts the connector's manifests to a cluster for tests: possibly older than the supported versions,
 * without an image registry, and with an API server that listens on its node's loopback only. All changes are
 * made here. Everything else is what Terraform applies.
 */
import { PROXY_PORT } from "../../../terraform/manifests/names.ts";
import type { Container, Deployment, KubernetesObject } from "../../../terraform/manifests/types.ts";

/**
 * Writes objects as an older API server expects them.
 *
 * @param minor of Kubernetes 1.minor. Before 1.21 a PodDisruptionBudget is `v1beta1`. Before 1.29 there are
 *   no native sidecars, so the proxy becomes an ordinary container.
 */
export function adaptToVersion(minor: number, objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.map((object) => {
    if (object.kind === "PodDisruptionBudget" && minor < 21) return { ...object, apiVersion: "policy/v1beta1" };
    if (object.kind !== "Deployment" || minor >= 29) return object;
    return withPodSpec(object as Deployment, ({ initContainers, containers, ...spec }) => ({
      ...spec,
      initContainers: [],
      containers: [...initContainers.map(({ restartPolicy: _, ...container }) => container), ...containers],
    }));
  });
}

/** What the connector needs to run on the cluster's node. */
export interface TestNode {
  /** Listens on the node's loopback only, so the pod must use the node's network. */
  readonly apiServer: URL;
  /** An image that the node has. */
  readonly image: string;
  /** The path of a real kubectl, for the image that cannot be pulled. */
  readonly kubectl: string;
  /** A free port of the node's network. */
  readonly port: number;
}

/**
 * Makes the Deployment run on that node: one replica on the node's network. The proxy runs the mounted
 * kubectl with the generated arguments, except for the port. cloudflared is replaced by an idle container.
 */
export function runOnNode(deployment: Deployment, { apiServer, image, kubectl, port }: TestNode): Deployment {
  const proxy = (container: Container): Container => ({
    ...(JSON.parse(JSON.stringify(container).replaceAll(String(PROXY_PORT), String(port))) as Container),
    image,
    // The image's entry point (build/server-image/kubectl/Dockerfile of kubernetes/kubernetes).
    command: ["/bin/kubectl"],
    env: [
      { name: "KUBERNETES_SERVICE_HOST", value: apiServer.hostname },
      { name: "KUBERNETES_SERVICE_PORT", value: apiServer.port },
    ],
    volumeMounts: [
      ...(container["volumeMounts"] as object[]),
      { name: "kubectl", mountPath: "/bin/kubectl", readOnly: true },
    ],
  });
  const idle = ({ name, args: _, securityContext, resources, volumeMounts }: Container) => ({
    ...{ name, image, imagePullPolicy: "IfNotPresent" as const, securityContext, resources, volumeMounts },
  });
  const adapted = withPodSpec(deployment, ({ initContainers, containers, volumes, ...spec }) => ({
    ...spec,
    hostNetwork: true,
    initContainers: initContainers.map(proxy),
    containers: containers.map((container) => (container.name === PROXY ? proxy(container) : idle(container))),
    volumes: [...(volumes as object[]), { name: "kubectl", hostPath: { path: kubectl, type: "File" } }],
  }));
  return { ...adapted, spec: { ...adapted.spec, replicas: 1 } };
}

const PROXY = "proxy";

/** The container that holds the account's token: a native sidecar, or before 1.29 an ordinary container. */
export function proxyContainer({ spec }: Deployment): Container {
  const { initContainers, containers } = spec.template.spec;
  const found = [...initContainers, ...containers].find(({ name }) => name === PROXY);
  if (!found) throw new Error("the connector has no proxy container");
  return found;
}

/**
 * A pod as the Deployment's controller would create it. PodSecurity enforces its level on pods, not on
 * Deployments.
 */
export function podOf({ metadata, spec }: Deployment): object {
  const { template } = spec;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...template.metadata, name: `${metadata.name}-trial`, namespace: metadata.namespace },
    spec: template.spec,
  };
}

type PodSpec = Deployment["spec"]["template"]["spec"];

function withPodSpec(deployment: Deployment, change: (spec: PodSpec) => object): Deployment {
  const { spec } = deployment;
  return {
    ...deployment,
    spec: { ...spec, template: { ...spec.template, spec: change(spec.template.spec) as PodSpec } },
  };
}
