/** Resources whose objects are pods, or have a template of them. Pure. */
import { type RequestInfo, withSubresource } from "../../kubernetes/request-info.ts";

const OF_APPS: ReadonlySet<string> = new Set(["deployments", "statefulsets", "daemonsets", "replicasets"]);

/** API group → resources, with subresources as RBAC writes them. */
const POD_RESOURCES: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  // `kubectl debug --attach=false` runs its command by ephemeralcontainers alone, without any session.
  ["", new Set(["pods", "pods/ephemeralcontainers", "replicationcontrollers", "podtemplates"])],
  ["apps", OF_APPS],
  ["batch", new Set(["jobs", "cronjobs"])],
  // Before Kubernetes 1.16.
  ["extensions", OF_APPS],
]);

/**
 * Whether a request creates or changes pods, or templates of them, so that its body says what runs. A
 * deletion's body has nothing of that.
 *
 * @param method as sent
 */
export function writesPods(method: string, info: RequestInfo): boolean {
  const { isResourceRequest, apiGroup, resource, subresource } = info;
  if (!isResourceRequest || (method !== "POST" && method !== "PUT" && method !== "PATCH")) return false;
  return POD_RESOURCES.get(apiGroup)?.has(withSubresource(resource, subresource)) ?? false;
}
