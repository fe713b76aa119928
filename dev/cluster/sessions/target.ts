import type { Container, Pod } from "../api/objects.ts";
import { resourceNamed } from "../api/resources.ts";
import { badRequest } from "../api/status.ts";
import type { Store } from "../api/storage.ts";
import type { ResourceRequest } from "../auth/request-info.ts";

const DEFAULT_CONTAINER_ANNOTATION = "kubectl.kubernetes.io/default-container";

/** @returns the pod that a subresource request names; throws 404 */
export function targetPod(store: Store, { namespace, name }: ResourceRequest): Pod {
  return store.get(resourceNamed("pods"), namespace, name) as Pod;
}

/**
 * @returns the requested container, or the pod's only (or default) one; an ephemeral one only if it is named.
 *   Throws 400 with the message of podContainerFor
 */
export function targetContainer(pod: Pod, asked: string): Container {
  const { containers, ephemeralContainers = [] } = pod.spec;
  const all = [...containers, ...ephemeralContainers];
  const { name, annotations } = pod.metadata;
  const wanted = asked === "" ? annotations?.[DEFAULT_CONTAINER_ANNOTATION] : asked;
  const [only, second] = containers;
  if (wanted === undefined && only !== undefined && second === undefined) return only;
  if (wanted === undefined) {
    const names = all.map((container) => container.name).join(" ");
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names}]`);
  }
  const found = all.find((container) => container.name === wanted);
  if (found === undefined) throw badRequest(`container ${wanted} is not valid for pod ${name}`);
  return found;
}
