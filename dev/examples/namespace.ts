/** What the example sessions reach: a namespace of the embedded cluster, whose name says what it is for. */
import { SERVER_ANNOTATION } from "../cluster/pods/demo-servers.ts";

export const EXAMPLE_NAMESPACE = "example-prod";
export const DATABASE_PORT = 5432;

const IMAGE = "localhost/busybox:1";

// A file to look at, and a log that grows while somebody looks.
const SHOP = `printf 'item,price\\nlamp,49\\nchair,89\\ndesk,199\\n' > prices.csv
i=0
while :; do
  i=$((i + 1))
  case $((i % 3)) in
    0) echo "$(date -u +%T) POST /orders 201" ;;
    1) echo "$(date -u +%T) GET /cart 200" ;;
    *) echo "$(date -u +%T) GET /items/lamp 200" ;;
  esac >> access.log
  sleep 1
done`;
const VAULT = "printf 'sealed: false\\nnodes: 3\\n' > status; while :; do sleep 60; done";

const pod = (name: string, container: object, annotations: object = {}) => ({
  ...{ apiVersion: "v1", kind: "Pod" },
  metadata: { name, namespace: EXAMPLE_NAMESPACE, labels: { app: name }, annotations },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name, image: IMAGE, imagePullPolicy: "Never", ...container }],
  },
});

const RBAC = "rbac.authorization.k8s.io";
const inNamespace = { namespace: EXAMPLE_NAMESPACE };

const binding = (group: string, kind: "ClusterRole" | "Role", role: string) => ({
  ...{ apiVersion: `${RBAC}/v1`, kind: "RoleBinding", metadata: { name: `${group}-${role}`, ...inNamespace } },
  roleRef: { apiGroup: RBAC, kind, name: role },
  subjects: [{ apiGroup: RBAC, kind: "Group", name: group }],
});

/** Developers open sessions there. Only who has `prod-admin` for a while reads secrets and changes things. */
export const EXAMPLE_OBJECTS: readonly object[] = [
  { apiVersion: "v1", kind: "Namespace", metadata: { name: EXAMPLE_NAMESPACE } },
  {
    ...{ apiVersion: `${RBAC}/v1`, kind: "Role", metadata: { name: "sessions", ...inNamespace } },
    rules: [{ verbs: ["get", "create"], apiGroups: [""], resources: ["pods/exec", "pods/attach", "pods/portforward"] }],
  },
  binding("developers", "ClusterRole", "view"),
  binding("developers", "Role", "sessions"),
  binding("viewers", "ClusterRole", "view"),
  binding("prod-admins", "ClusterRole", "edit"),
  {
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "database", ...inNamespace } },
    stringData: { password: "not-a-real-one" },
  },
  pod("shop", { command: ["sh", "-c", SHOP] }),
  pod("database", { ports: [{ containerPort: DATABASE_PORT }] }, { [SERVER_ANNOTATION]: "database" }),
  pod("vault", { command: ["sh", "-c", VAULT] }),
  pod("worker", {}),
];

/** A change that somebody makes there. */
export const EXAMPLE_CHANGE = {
  ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "prices", ...inNamespace } },
  data: { lamp: "39" },
};
