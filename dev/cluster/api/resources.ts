import type { GroupResource } from "./status.ts";

/** The description of a resource, for discovery and for the REST handlers. */
export interface ResourceInfo extends GroupResource {
  readonly version: string;
  readonly kind: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  readonly subresources: readonly Subresource[];
}

export interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

const ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const SESSION = ["create", "get"];

interface Extras {
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly cluster?: true;
  readonly verbs?: readonly string[];
  readonly subresources?: readonly Subresource[];
}

function resource(groupVersion: string, kind: string, name: string, extras: Extras = {}): ResourceInfo {
  const [first = "", second] = groupVersion.split("/");
  return {
    group: second === undefined ? "" : first,
    version: second ?? first,
    resource: name,
    kind,
    singular: kind.toLowerCase(),
    namespaced: extras.cluster !== true,
    shortNames: extras.shortNames ?? [],
    categories: extras.categories ?? [],
    verbs: extras.verbs ?? ALL_VERBS,
    subresources: extras.subresources ?? [],
  };
}

const RBAC = "rbac.authorization.k8s.io/v1";
const AUTHORIZATION = "authorization.k8s.io/v1";
const ASK = { cluster: true, verbs: ["create"] } as const;

export const RESOURCES: readonly ResourceInfo[] = [
  resource("v1", "ConfigMap", "configmaps", { shortNames: ["cm"] }),
  resource("v1", "Event", "events", { shortNames: ["ev"] }),
  resource("v1", "Namespace", "namespaces", { shortNames: ["ns"], cluster: true }),
  resource("v1", "Node", "nodes", { shortNames: ["no"], cluster: true }),
  resource("v1", "Pod", "pods", {
    shortNames: ["po"],
    categories: ["all"],
    subresources: [
      { name: "attach", kind: "PodAttachOptions", verbs: SESSION },
      { name: "ephemeralcontainers", kind: "Pod", verbs: ["get", "patch", "update"] },
      { name: "exec", kind: "PodExecOptions", verbs: SESSION },
      { name: "log", kind: "Pod", verbs: ["get"] },
      { name: "portforward", kind: "PodPortForwardOptions", verbs: SESSION },
    ],
  }),
  resource("v1", "Secret", "secrets"),
  resource("v1", "ServiceAccount", "serviceaccounts", { shortNames: ["sa"] }),
  resource("v1", "Service", "services", { shortNames: ["svc"], categories: ["all"] }),
  resource("apps/v1", "Deployment", "deployments", { shortNames: ["deploy"], categories: ["all"] }),
  resource("apps/v1", "ReplicaSet", "replicasets", { shortNames: ["rs"], categories: ["all"] }),
  resource("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", ASK),
  resource(AUTHORIZATION, "SelfSubjectAccessReview", "selfsubjectaccessreviews", ASK),
  resource(AUTHORIZATION, "SelfSubjectRulesReview", "selfsubjectrulesreviews", ASK),
  resource(RBAC, "ClusterRoleBinding", "clusterrolebindings", { cluster: true }),
  resource(RBAC, "ClusterRole", "clusterroles", { cluster: true }),
  resource(RBAC, "RoleBinding", "rolebindings"),
  resource(RBAC, "Role", "roles"),
];

/** @returns the resource at /api/{version} (group "") or /apis/{group}/{version}, or undefined */
export function findResource(group: string, version: string, name: string): ResourceInfo | undefined {
  return RESOURCES.find((info) => info.group === group && info.version === version && info.resource === name);
}

export const apiVersionOf = (info: ResourceInfo): string =>
  info.group === "" ? info.version : `${info.group}/${info.version}`;

/** @returns the resource with that plural name, which must exist */
export function resourceNamed(name: string): ResourceInfo {
  const info = RESOURCES.find((candidate) => candidate.resource === name);
  if (info === undefined) throw new Error(`no such resource: ${name}`);
  return info;
}
