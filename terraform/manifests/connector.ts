/**
 * The Kubernetes objects of Sallyport in a cluster: what Terraform applies, what `npx sallyport manifests`
 * prints, and what the tests apply to a real cluster. Only the Secret with the tunnel's token is missing,
 * because it is confidential.
 */
import { impersonatedIn } from "../config/identities.ts";
import type { DeployedCluster, Deployment as DeploymentFile } from "../config/schema.ts";
import { impersonationRules } from "./impersonation.ts";
import { DEPLOYMENT_NAME, IMAGES, LABELS, namespaceOf, roleNameOf, SELECTOR, SERVICE_ACCOUNT_NAME } from "./names.ts";
import { networkPolicy } from "./network-policy.ts";
import { podSpec } from "./pod.ts";
import type { ClusterRole, Deployment, KubernetesObject } from "./types.ts";

/** The objects in the order in which they are applied. */
export function connectorManifests(deployment: DeploymentFile, cluster: DeployedCluster): KubernetesObject[] {
  const namespace = namespaceOf(deployment, cluster);
  return [
    namespaceObject(namespace),
    serviceAccount(namespace),
    connectorRole(deployment, cluster),
    roleBinding(deployment, namespace),
    ...(cluster.connector.networkPolicy ? [networkPolicy(namespace, cluster)] : []),
    disruptionBudget(namespace),
    connectorDeployment(namespace, cluster),
  ];
}

function namespaceObject(name: string): KubernetesObject {
  const level = "restricted";
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      labels: {
        ...LABELS,
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/audit": level,
        "pod-security.kubernetes.io/warn": level,
      },
    },
  };
}

function serviceAccount(namespace: string): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: SERVICE_ACCOUNT_NAME, namespace, labels: LABELS },
    automountServiceAccountToken: false,
  };
}

/**
 * The role is generated from the identity rules and grants: with the account's token nobody can be a group
 * that none of them gives.
 */
export function connectorRole(deployment: DeploymentFile, cluster: DeployedCluster): ClusterRole {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: roleNameOf(deployment), labels: LABELS },
    rules: impersonationRules(impersonatedIn(deployment, cluster)),
  };
}

function roleBinding(deployment: DeploymentFile, namespace: string): KubernetesObject {
  const name = roleNameOf(deployment);
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name, labels: LABELS },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
    subjects: [{ kind: "ServiceAccount", name: SERVICE_ACCOUNT_NAME, namespace }],
  };
}

/** While nodes are drained, one connector at a time may be missing. */
function disruptionBudget(namespace: string): KubernetesObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name: DEPLOYMENT_NAME, namespace, labels: LABELS },
    spec: { maxUnavailable: 1, selector: { matchLabels: SELECTOR } },
  };
}

function connectorDeployment(namespace: string, { connector }: DeployedCluster): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: DEPLOYMENT_NAME, namespace, labels: LABELS },
    spec: {
      replicas: connector.replicas,
      revisionHistoryLimit: 5,
      // A pod that connects and then crashes must not replace another.
      minReadySeconds: 10,
      selector: { matchLabels: SELECTOR },
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: { labels: LABELS },
        spec: podSpec(
          { serviceAccountName: SERVICE_ACCOUNT_NAME, images: { ...IMAGES, ...connector.images } },
          SELECTOR,
        ),
      },
    },
  };
}
