import { createHash } from "node:crypto";
import { randomSuffix } from "./api/admission.ts";
import { type KubeObject, type OwnerReference, type Pod, timestamp, type Workload } from "./api/objects.ts";
import { resourceNamed } from "./api/resources.ts";
import type { Store } from "./api/storage.ts";
import { deletePod } from "./pods/kubelet.ts";

const deployments = resourceNamed("deployments");
const replicaSets = resourceNamed("replicasets");
const pods = resourceNamed("pods");
const HASH_LABEL = "pod-template-hash";

/**
 * Starts the controllers of Deployments and ReplicaSets, and the garbage collector for what they own. A
 * changed template replaces all pods at once, since there are no rollouts. @returns a function that stops
 * them
 */
export function startWorkloadControllers(store: Store): () => void {
  let scheduled = false;
  const reconcile = (): void => {
    scheduled = false;
    collectGarbage(store);
    for (const deployment of store.list(deployments)) reconcileDeployment(store, deployment as Workload);
    for (const replicaSet of store.list(replicaSets)) reconcileReplicaSet(store, replicaSet as Workload);
  };
  return store.subscribe(({ info }) => {
    if (scheduled || (info !== deployments && info !== replicaSets && info !== pods)) return;
    scheduled = true;
    setImmediate(reconcile);
  });
}

function reconcileDeployment(store: Store, deployment: Workload): void {
  const { name, namespace = "" } = deployment.metadata;
  const { replicas, selector, template } = deployment.spec;
  const hash = createHash("sha256").update(JSON.stringify(template)).digest("hex").slice(0, 10);
  const owned = store.list(replicaSets, namespace).filter(ownedBy(deployment)) as Workload[];
  const current = owned.find(({ metadata }) => metadata.labels?.[HASH_LABEL] === hash);
  if (current === undefined) {
    const labels = { ...template.metadata.labels, [HASH_LABEL]: hash };
    const matchLabels = { ...selector.matchLabels, [HASH_LABEL]: hash };
    store.create(replicaSets, {
      ...{ apiVersion: "apps/v1", kind: "ReplicaSet" },
      metadata: { name: `${name}-${hash}`, namespace, labels, ownerReferences: [ownerOf(deployment)] },
      spec: {
        replicas,
        selector: { matchLabels },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
      status: {},
    });
  }
  for (const replicaSet of owned) {
    const wanted = replicaSet === current ? replicas : 0;
    if (replicaSet.spec.replicas === wanted) continue;
    store.update(replicaSets, { ...replicaSet, spec: { ...replicaSet.spec, replicas: wanted } } as Workload);
  }
  const counts = (current?.["status"] ?? {}) as { replicas?: number; readyReplicas?: number };
  const { replicas: existing = 0, readyReplicas = 0 } = counts;
  const isAvailable = current !== undefined && readyReplicas >= replicas;
  setStatus(store, deployments, deployment, {
    observedGeneration: deployment.metadata["generation"],
    ...{ replicas: existing, updatedReplicas: existing, readyReplicas, availableReplicas: readyReplicas },
    unavailableReplicas: Math.max(0, replicas - readyReplicas),
    conditions: [
      isAvailable
        ? condition(deployment, "Available", "True", "MinimumReplicasAvailable")
        : condition(deployment, "Available", "False", "MinimumReplicasUnavailable"),
      isAvailable && existing === replicas
        ? condition(deployment, "Progressing", "True", "NewReplicaSetAvailable")
        : condition(deployment, "Progressing", "True", "ReplicaSetUpdated"),
    ],
  });
}

interface Condition {
  readonly type: string;
  readonly status: "True" | "False";
  readonly reason: string;
  readonly lastUpdateTime: string;
  readonly lastTransitionTime: string;
}

function condition(deployment: Workload, type: string, status: "True" | "False", reason: string): Condition {
  const { conditions = [] } = (deployment["status"] ?? {}) as { conditions?: readonly Condition[] };
  const before = conditions.find((candidate) => candidate.type === type && candidate.status === status);
  if (before?.reason === reason) return before;
  return {
    ...{ type, status, reason, lastUpdateTime: timestamp() },
    lastTransitionTime: before?.lastTransitionTime ?? timestamp(),
  };
}

function reconcileReplicaSet(store: Store, replicaSet: Workload): void {
  const { name, namespace = "" } = replicaSet.metadata;
  const { replicas, template } = replicaSet.spec;
  const owned = store.list(pods, namespace).filter(ownedBy(replicaSet)) as Pod[];
  const alive = owned.filter(({ metadata, status }) => {
    return metadata.deletionTimestamp === undefined && status.phase !== "Failed" && status.phase !== "Succeeded";
  });
  for (let missing = replicas - alive.length; missing > 0; missing--) {
    store.create(pods, {
      ...{ apiVersion: "v1", kind: "Pod" },
      metadata: {
        ...template.metadata,
        ...{ name: `${name}-${randomSuffix(5)}`, namespace, ownerReferences: [ownerOf(replicaSet)] },
      },
      spec: template.spec,
      status: { phase: "Pending", qosClass: "BestEffort" },
    });
  }
  for (const pod of alive.slice(replicas)) deletePod(store, pod, pod.spec.terminationGracePeriodSeconds);
  const ready = alive.filter(({ status }) => status.containerStatuses?.every((container) => container.ready) === true);
  const status = {
    ...{ replicas: alive.length, readyReplicas: ready.length, availableReplicas: ready.length },
    observedGeneration: replicaSet.metadata["generation"],
  };
  setStatus(store, replicaSets, replicaSet, status);
}

// What a deleted Deployment or ReplicaSet owned is deleted as well.
function collectGarbage(store: Store): void {
  const owners = new Set([...store.list(deployments), ...store.list(replicaSets)].map(({ metadata }) => metadata.uid));
  const isOrphan = ({ metadata }: KubeObject): boolean => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    return (
      owner !== undefined && (owner.kind === "Deployment" || owner.kind === "ReplicaSet") && !owners.has(owner.uid)
    );
  };
  for (const { metadata } of store.list(replicaSets).filter(isOrphan)) {
    store.remove(replicaSets, metadata.namespace ?? "", metadata.name);
  }
  for (const pod of store.list(pods).filter(isOrphan) as Pod[]) {
    deletePod(store, pod, pod.spec.terminationGracePeriodSeconds);
  }
}

function setStatus(store: Store, info: typeof pods, object: Workload, status: object): void {
  const current = store.find(info, object.metadata.namespace ?? "", object.metadata.name);
  if (current === undefined || JSON.stringify(current["status"]) === JSON.stringify(status)) return;
  store.update(info, { ...current, status });
}

const ownedBy =
  (owner: KubeObject) =>
  ({ metadata }: KubeObject): boolean =>
    metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true;

const ownerOf = ({ apiVersion, kind, metadata }: KubeObject): OwnerReference => ({
  ...{ apiVersion, kind, name: metadata.name, uid: metadata.uid },
  controller: true,
});
