import type { KubeObject } from "../api/objects.ts";
import { resourceNamed } from "../api/resources.ts";
import type { NewObject, Store } from "../api/storage.ts";
import { PROXY_ACCOUNT_NAME } from "./identity.ts";

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export interface Binding extends KubeObject {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly Subject[];
}

export interface Subject {
  readonly kind: string;
  readonly name: string;
  /** Of a service account. */
  readonly namespace?: string;
}

/** @returns the rules of the role that a binding refers to; none if there is no such role */
export function roleRules(store: Store, binding: Binding): readonly PolicyRule[] {
  const { kind, name } = binding.roleRef;
  const isCluster = kind === "ClusterRole";
  const namespace = isCluster ? "" : (binding.metadata.namespace ?? "");
  const role = store.find(resourceNamed(isCluster ? "clusterroles" : "roles"), namespace, name);
  return (role?.["rules"] as readonly PolicyRule[] | undefined) ?? [];
}

const READ = ["get", "list", "watch"];
const WRITE = ["create", "delete", "deletecollection", "patch", "update"];
const APPS = ["deployments", "replicasets"];

// From bootstrappolicy/policy.go, reduced to the resources that this cluster serves.
const VIEW: readonly PolicyRule[] = [
  { verbs: READ, apiGroups: [""], resources: ["configmaps", "pods", "serviceaccounts", "services"] },
  { verbs: READ, apiGroups: [""], resources: ["events", "namespaces", "pods/log", "pods/status"] },
  { verbs: READ, apiGroups: ["apps"], resources: APPS },
];
const SESSIONS = ["pods/attach", "pods/exec", "pods/portforward"];
const EDIT: readonly PolicyRule[] = [
  ...VIEW,
  { verbs: READ, apiGroups: [""], resources: [...SESSIONS, "secrets"] },
  { verbs: WRITE, apiGroups: [""], resources: ["pods", ...SESSIONS] },
  { verbs: WRITE, apiGroups: [""], resources: ["configmaps", "events", "secrets", "serviceaccounts", "services"] },
  { verbs: WRITE, apiGroups: ["apps"], resources: APPS },
];
// Kubernetes does not include this in `edit`, because policies that check only the creation of pods miss what
// is added to them later. Each cluster grants it if it wants to.
const DEBUG: readonly PolicyRule[] = [
  { verbs: ["get", "patch", "update"], apiGroups: [""], resources: ["pods/ephemeralcontainers"] },
];
const DISCOVERY_PATHS = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"];
const PUBLIC_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

const AUTHENTICATED = "system:authenticated";

function clusterRole(name: string, rules: readonly PolicyRule[]): NewObject {
  return { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name }, rules };
}

const groupsOf = (names: readonly string[]): Subject[] => names.map((name) => ({ kind: "Group", name }));

function binding(name: string, role: string, subjects: readonly Subject[], namespace?: string): NewObject {
  return {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: namespace === undefined ? "ClusterRoleBinding" : "RoleBinding",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
    subjects: subjects.map((subject) =>
      subject.kind === "ServiceAccount" ? subject : { apiGroup: "rbac.authorization.k8s.io", ...subject },
    ),
  };
}

/**
 * Of the proxy's account, with any name: the local stack's identity rules may change. Tests replace it by
 * what the connector's manifests give.
 */
export const IMPERSONATOR_ROLE = "impersonator";
const IMPERSONATE: readonly PolicyRule[] = [
  { verbs: ["impersonate"], apiGroups: [""], resources: ["users", "groups", "serviceaccounts"] },
  { verbs: ["impersonate"], apiGroups: ["authentication.k8s.io"], resources: ["*"] },
];

/**
 * Stores the roles and bindings: those of every cluster (discovery and self reviews for all authenticated
 * users), the one of the proxy's account, and for the demo `developers` = edit with `kubectl debug`, and
 * `viewers` = view, in the namespace.
 */
export function installRbac(store: Store, demoNamespace: string): void {
  const reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
  const roles = [
    clusterRole("cluster-admin", [
      { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
      { verbs: ["*"], nonResourceURLs: ["*"] },
    ]),
    clusterRole("edit", EDIT),
    clusterRole("view", VIEW),
    clusterRole("debug", DEBUG),
    clusterRole("system:discovery", [{ verbs: ["get"], nonResourceURLs: [...DISCOVERY_PATHS, ...PUBLIC_PATHS] }]),
    clusterRole("system:basic-user", [
      { verbs: ["create"], apiGroups: ["authorization.k8s.io"], resources: reviews },
      { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"] },
    ]),
    clusterRole("system:public-info-viewer", [{ verbs: ["get"], nonResourceURLs: PUBLIC_PATHS }]),
    clusterRole(IMPERSONATOR_ROLE, IMPERSONATE),
  ];
  for (const role of roles) store.create(resourceNamed("clusterroles"), role);

  const everyone = groupsOf([AUTHENTICATED, "system:unauthenticated"]);
  const authenticated = groupsOf([AUTHENTICATED]);
  const clusterBindings = [
    binding("cluster-admin", "cluster-admin", groupsOf(["system:masters"])),
    binding("system:discovery", "system:discovery", authenticated),
    binding("system:basic-user", "system:basic-user", authenticated),
    binding("system:public-info-viewer", "system:public-info-viewer", everyone),
    binding(IMPERSONATOR_ROLE, IMPERSONATOR_ROLE, [{ kind: "ServiceAccount", ...PROXY_ACCOUNT_NAME }]),
  ];
  for (const object of clusterBindings) store.create(resourceNamed("clusterrolebindings"), object);
  store.create(
    resourceNamed("rolebindings"),
    binding("developers-edit", "edit", groupsOf(["developers"]), demoNamespace),
  );
  store.create(
    resourceNamed("rolebindings"),
    binding("developers-debug", "debug", groupsOf(["developers"]), demoNamespace),
  );
  store.create(resourceNamed("rolebindings"), binding("viewers-view", "view", groupsOf(["viewers"]), demoNamespace));
}
