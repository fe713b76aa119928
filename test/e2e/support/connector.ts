/**
 * The connector on a real cluster that is older than it is made for and can pull no image. What is changed for that is here,
 * all of it; the rest of each object is what Terraform applies.
 */
import { PROXY_PORT } from "../../../terraform/manifests/names.ts";
import type { Container, Deployment, KubernetesObject } from "../../../terraform/manifests/types.ts";

/** An image that every node of the cluster has. */
const AT_HAND = "localhost/busybox:1";

/**
 * Puts objects into the words of an older API server.
 *
 * @param minor of 1.minor. Before 1.21 budgets are `v1beta1`; before 1.29 there are no native sidecars, so ours is an
 *   ordinary container
 */
export function spokenBy(minor: number, objects: readonly KubernetesObject[]): KubernetesObject[] {
  return objects.map((object) => {
    if (object.kind === "PodDisruptionBudget" && minor < 21) return { ...object, apiVersion: "policy/v1beta1" };
    if (object.kind !== "Deployment" || minor >= 29) return object;
    return withPod(object as Deployment, ({ initContainers, containers, ...pod }) => ({
      ...pod,
      containers: [...initContainers.map(({ restartPolicy: _, ...container }) => container), ...containers],
    }));
  });
}

export interface OneNode {
  /** The API server, which listens on the node's loopback only, and the pod on the node's network. */
  readonly apiServer: URL;
  /** The real kubectl, for an image that is not there. */
  readonly kubectl: string;
  /** A free port, for the node's network has one of each. */
  readonly port: number;
}

/**
 * Lets the Deployment run on such a cluster: one replica on the node's network. The sidecar has the image's program mounted
 * where the image has it, and its own arguments but for the port. Of cloudflared only its place is kept.
 */
export function runnable(deployment: Deployment, { apiServer, kubectl, port }: OneNode): Deployment {
  const sidecar = (container: Container) => ({
    ...(JSON.parse(JSON.stringify(container).replaceAll(String(PROXY_PORT), String(port))) as Container),
    image: AT_HAND,
    // What the image starts (build/server-image/kubectl/Dockerfile of kubernetes/kubernetes).
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
  const tunnel = ({ name, securityContext, resources, volumeMounts }: Container) => ({
    ...{ name, image: AT_HAND, imagePullPolicy: "IfNotPresent" as const, securityContext, resources, volumeMounts },
  });
  const changed = withPod(deployment, ({ containers, volumes, ...pod }) => ({
    ...pod,
    hostNetwork: true,
    containers: containers.map((container) => (container.name === "proxy" ? sidecar(container) : tunnel(container))),
    volumes: [...(volumes as object[]), { name: "kubectl", hostPath: { path: kubectl, type: "File" } }],
  }));
  return { ...changed, spec: { ...changed.spec, replicas: 1 } };
}

type Pod = Deployment["spec"]["template"]["spec"];

function withPod(deployment: Deployment, change: (pod: Pod) => object): Deployment {
  const { spec } = deployment;
  return { ...deployment, spec: { ...spec, template: { ...spec.template, spec: change(spec.template.spec) as Pod } } };
}
