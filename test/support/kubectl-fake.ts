/** A fake kubectl and cluster, as far as the doctor looks at them. It prints what kubectl 1.36.3 printed. */
import type { Plan, PolicyRule } from "../../tools/deployment/plan.ts";
import type { Kubectl, KubectlAnswer } from "../../tools/ports/kubectl.ts";

interface PodContainer {
  name: string;
  image: string;
  args: string[];
  env?: { name: string; value?: string }[];
}

export interface ClusterState {
  clientVersion: string;
  serverVersion: string;
  deployment: {
    metadata: { name: string; generation: number };
    spec: {
      replicas: number;
      template: {
        metadata: { labels: Record<string, string> };
        spec: { serviceAccountName: string; containers: PodContainer[]; initContainers: PodContainer[] };
      };
    };
    status: { observedGeneration: number; replicas: number; readyReplicas?: number; updatedReplicas: number };
  };
  budgets: {
    metadata: { name: string };
    spec: { maxUnavailable?: number; selector: { matchLabels: Record<string, string> } };
  }[];
  /** The rules of the ClusterRole in the cluster. */
  role: PolicyRule[];
  /** What other bindings allow the same account. */
  otherRules: PolicyRule[];
  /** How far the cluster's clock is ahead of this machine's, ms. */
  clockAhead: number;
  isReachable: boolean;
  /** The ClusterIP of the Service kubernetes, and where it leads. */
  serviceIp: string;
  apiServers: string[];
  apiServerPort: number;
}

const LABELS = { "app.kubernetes.io/name": "sallyport-connector", "app.kubernetes.io/part-of": "sallyport" };

/** A cluster without any fault. */
export function goodCluster(plan: Plan): ClusterState {
  const [cluster] = plan.clusters;
  if (!cluster) throw new Error("the plan has no cluster");
  const { connector, role } = cluster;
  return {
    clientVersion: "v1.36.3",
    serverVersion: "v1.36.2",
    deployment: {
      metadata: { name: connector.deployment, generation: 3 },
      spec: {
        replicas: connector.replicas,
        template: {
          metadata: { labels: LABELS },
          spec: {
            serviceAccountName: connector.serviceAccount,
            initContainers: [
              {
                name: "proxy",
                image: "registry.k8s.io/kubectl:v1.36.3",
                args: ["proxy", "--address=127.0.0.1", `--port=${connector.port}`, "--reject-paths=^$", "--v=0"],
              },
            ],
            containers: [
              {
                name: "cloudflared",
                image: "docker.io/cloudflare/cloudflared:2026.10.0",
                args: ["tunnel", "--no-autoupdate", "--protocol=quic", "run", "--token-file=/etc/cloudflared/token"],
                env: [{ name: "POD_IP" }],
              },
            ],
          },
        },
      },
      status: {
        observedGeneration: 3,
        replicas: connector.replicas,
        readyReplicas: connector.replicas,
        updatedReplicas: connector.replicas,
      },
    },
    budgets: [
      { metadata: { name: "connector" }, spec: { maxUnavailable: 1, selector: { matchLabels: { ...LABELS } } } },
    ],
    role: role.rules.map((rule) => ({ ...rule })),
    otherRules: [],
    clockAhead: 0,
    isReachable: true,
    ...{ serviceIp: "10.96.0.1", apiServers: ["10.0.0.1"], apiServerPort: 443 },
  };
}

const printed = (stdout: string, stderr = ""): KubectlAnswer => ({ code: 0, stdout, stderr });
const failed = (stderr: string): KubectlAnswer => ({ code: 1, stdout: "", stderr });

export function fakeKubectl(plan: Plan, state: ClusterState, now: () => number): Kubectl {
  const [cluster] = plan.clusters;
  return async (target, args, input) => {
    const line = args.join(" ");
    if (line === "version --client -o json") {
      return printed(
        JSON.stringify({ clientVersion: { gitVersion: state.clientVersion }, kustomizeVersion: "v5.8.1" }),
      );
    }
    if (!target || target.path !== cluster?.kubeconfig?.path)
      throw new Error(`kubectl was run without the cluster's kubeconfig: ${line}`);
    if (!state.isReachable) {
      return failed(
        "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?\n",
      );
    }
    if (line.startsWith("get --raw /version")) {
      const date = new Date(now() + state.clockAhead).toUTCString();
      const log =
        'I1122 10:02:34.799243   20164 round_trippers.go:632] "Response" status="200 OK" headers=<\n' +
        `\tContent-Type: application/json\n\tDate: ${date}\n > milliseconds=5\n`;
      return printed(JSON.stringify({ major: "1", gitVersion: state.serverVersion }), line.endsWith("-v=8") ? log : "");
    }
    if (line.startsWith("get deployment connector -n sallyport")) return printed(JSON.stringify(state.deployment));
    if (line === "get service kubernetes -n default -o json") {
      return printed(
        JSON.stringify({ kind: "Service", spec: { clusterIP: state.serviceIp, clusterIPs: [state.serviceIp] } }),
      );
    }
    if (line.startsWith("get endpointslices -n default -l kubernetes.io/service-name=kubernetes")) {
      const endpoints = state.apiServers.map((address) => ({ addresses: [address], conditions: { ready: true } }));
      const ports = [{ name: "https", port: state.apiServerPort, protocol: "TCP" }];
      return printed(JSON.stringify({ kind: "List", items: [{ addressType: "IPv4", endpoints, ports }] }));
    }
    if (line.startsWith("get poddisruptionbudget"))
      return printed(JSON.stringify({ kind: "List", items: state.budgets }));
    if (line.startsWith(`get clusterrole ${cluster.role.name}`)) {
      return printed(JSON.stringify({ kind: "ClusterRole", metadata: { name: cluster.role.name }, rules: state.role }));
    }
    if (line.startsWith("create") && line.includes("jsonpath={.status.allowed}")) {
      const { items } = JSON.parse(input ?? "") as {
        items: { spec: { user: string; resourceAttributes: Attributes } }[];
      };
      const rules = [...state.role, ...state.otherRules];
      return printed(items.map(({ spec }) => `${isAllowed(rules, spec.resourceAttributes)}\n`).join(""));
    }
    return failed(`Error from server (NotFound): the fake does not know: ${line}\n`);
  };
}

interface Attributes {
  readonly verb: string;
  readonly group?: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly name?: string;
}

/** RBAC's evaluation (kubernetes/pkg/apis/rbac/v1/evaluation_helpers.go), as far as these rules need it. */
function isAllowed(
  rules: readonly PolicyRule[],
  { verb, group = "", resource, subresource, name }: Attributes,
): boolean {
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  const holds = (list: readonly string[], value: string) => list.includes("*") || list.includes(value);
  return rules.some(
    (rule) =>
      holds(rule.verbs, verb) &&
      holds(rule.apiGroups, group) &&
      holds(rule.resources, full) &&
      ((rule.resourceNames ?? []).length === 0 || rule.resourceNames?.includes(name ?? "")),
  );
}
