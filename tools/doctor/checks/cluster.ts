/** What the cluster itself says, asked with the operator's own kubectl. */
import * as z from "zod";
import type { PlannedCluster, PolicyRule } from "../../deployment/plan.ts";
import { type Check, type Dependencies, type Finding, fail, ok, skipped, Unanswered, warn } from "../check.ts";
import { isAtLeast } from "../version.ts";
import { canonical } from "./account.ts";

/** One cluster as kubectl shows it. What is asked twice is fetched once. */
export class ClusterView {
  readonly #cluster: PlannedCluster;
  readonly #kubectl: Dependencies["kubectl"];
  readonly #asked = new Map<string, Promise<unknown>>();

  constructor(cluster: PlannedCluster, { kubectl }: Pick<Dependencies, "kubectl">) {
    this.#cluster = cluster;
    this.#kubectl = kubectl;
  }

  /** @throws Unanswered where there is no way to the cluster, or the object is not there */
  async run(args: readonly string[], input?: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const { kubeconfig } = this.#cluster;
    if (!kubeconfig) throw new Unanswered(skipped("the deployment file names no kubeconfig for this cluster"));
    const { code, stdout, stderr } = await this.#kubectl(kubeconfig, args, input);
    if (code === 127) throw new Unanswered(skipped("there is no kubectl here"));
    if (code !== 0) throw new Unanswered(fail(`kubectl ${args[0] ?? ""}: ${lastLine(stderr)}`, adviceOn(stderr)));
    return { stdout, stderr };
  }

  async json<T>(schema: z.ZodType<T>, args: readonly string[], input?: string): Promise<T> {
    const key = args.join(" ") + (input ?? "");
    const answer =
      this.#asked.get(key) ?? this.run([...args, "-o", "json"], input).then(({ stdout }) => JSON.parse(stdout));
    this.#asked.set(key, answer);
    return schema.parse(await answer);
  }

  deployment(): Promise<ConnectorDeployment> {
    const { namespace, deployment } = this.#cluster.connector;
    return this.json(deploymentSchema, ["get", "deployment", deployment, "-n", namespace]);
  }
}

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "no words";

function adviceOn(stderr: string): string {
  if (/NotFound/.test(stderr)) return "apply the cluster's stack";
  if (/Forbidden/.test(stderr)) return "use a kubeconfig whose account may do this: docs/UPGRADES.md says what";
  return "try the same kubeconfig and context with kubectl";
}

const container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).default([]),
});
type Container = z.output<typeof container>;

const deploymentSchema = z.object({
  metadata: z.object({ generation: z.number().default(0) }),
  spec: z.object({
    replicas: z.number().default(1),
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({
        serviceAccountName: z.string().optional(),
        containers: z.array(container),
        // A sidecar proper is an init container that is restarted (Kubernetes 1.29).
        initContainers: z.array(container).default([]),
      }),
    }),
  }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      readyReplicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
    })
    .prefault({}),
});
type ConnectorDeployment = z.output<typeof deploymentSchema>;

const containersOf = ({ spec }: ConnectorDeployment): Container[] => [
  ...spec.template.spec.containers,
  ...spec.template.spec.initContainers,
];

/** All replicas are ready, of the newest template, and run as the account that is looked at below. */
export function connectorCheck({ name, connector }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `connector:${name}`,
    run: async () => {
      const { metadata, spec, status } = await view.deployment();
      const look = `kubectl -n ${connector.namespace} describe deployment ${connector.deployment}`;
      if (status.readyReplicas < connector.replicas) {
        return fail(`${status.readyReplicas} of ${connector.replicas} replicas are ready`, look);
      }
      const account = spec.template.spec.serviceAccountName ?? "default";
      if (account !== connector.serviceAccount) {
        return fail(
          `it runs as the service account ${account}, not ${connector.serviceAccount}`,
          "apply the cluster's stack",
        );
      }
      if (status.observedGeneration < metadata.generation || status.updatedReplicas < spec.replicas) {
        return warn(
          "a rollout is under way",
          `kubectl -n ${connector.namespace} rollout status deployment ${connector.deployment}`,
        );
      }
      return ok(`${status.readyReplicas} replicas are ready`);
    },
  };
}

const budgets = z.object({
  items: z.array(
    z.object({
      spec: z.object({
        minAvailable: z.union([z.number(), z.string()]).optional(),
        maxUnavailable: z.union([z.number(), z.string()]).optional(),
        selector: z.object({ matchLabels: z.record(z.string(), z.string()).default({}) }).prefault({}),
      }),
    }),
  ),
});

/** Draining nodes leaves some connectors up. */
export function disruptionBudgetCheck({ name, connector }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `disruption-budget:${name}`,
    run: async () => {
      const { labels } = (await view.deployment()).spec.template.metadata;
      const { items } = await view.json(budgets, ["get", "poddisruptionbudget", "-n", connector.namespace]);
      const covers = items.some(
        ({ spec: { selector, minAvailable, maxUnavailable } }) =>
          (minAvailable ?? maxUnavailable) !== undefined &&
          Object.entries(selector.matchLabels).length > 0 &&
          Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value),
      );
      return covers
        ? ok("a PodDisruptionBudget keeps connectors up while nodes are drained")
        : fail("no PodDisruptionBudget covers the connectors", "apply the cluster's stack: it has one");
    },
  };
}

/** What runs there tomorrow is what runs there today. */
export function imagesCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `images:${name}`,
    run: async () => {
      const images = containersOf(await view.deployment()).map(({ image }) => image);
      const loose = images.filter((image) => !isPinned(image));
      return loose.length === 0
        ? ok(`pinned: ${images.join(", ")}`)
        : fail(`not pinned to a version: ${loose.join(", ")}`, "apply the cluster's stack, which names versions");
    },
  };
}

function isPinned(image: string): boolean {
  if (image.includes("@sha256:")) return true;
  const tag = /:([^:/]+)$/.exec(image)?.[1];
  return tag !== undefined && tag !== "latest" && /\d/.test(tag);
}

/** WebSockets pass Workers VPC over QUIC only; "auto" falls back to HTTP/2 when UDP is blocked, and sessions fail then. */
export function quicCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `quic:${name}`,
    run: async () => {
      const cloudflared = containersOf(await view.deployment()).find(({ image }) => /cloudflared/.test(image));
      if (!cloudflared) return fail("no container of the connector runs cloudflared", "apply the cluster's stack");
      const line = [...cloudflared.command, ...cloudflared.args].join(" ");
      const protocol =
        /--protocol[= ](\S+)/.exec(line)?.[1] ??
        cloudflared.env.find((variable) => variable.name === "TUNNEL_TRANSPORT_PROTOCOL")?.value ??
        "auto";
      return protocol === "quic"
        ? ok("the connectors speak QUIC and nothing else")
        : fail(`the connectors' protocol is ${protocol}`, "set --protocol quic: apply the cluster's stack");
    },
  };
}

/** kubectl proxy's own dangers: what hears more than loopback serves the account's power to the pod network; -v 6 logs URLs, 8 bodies. */
export function sidecarCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `sidecar:${name}`,
    run: async () => {
      const proxies = containersOf(await view.deployment()).filter(({ command, args }) =>
        [...command, ...args].includes("proxy"),
      );
      const lines = proxies.map(({ command, args }) => [...command, ...args].join(" "));
      // All of them, whichever wins.
      const address = lines.flatMap((line) => [...line.matchAll(/--address[= ](\S+)/g)].map(([, each = ""]) => each));
      const open = address.filter((each) => !/^(127\.\d+\.\d+\.\d+|localhost|::1)$/.test(each));
      if (open.length > 0)
        return fail(`the sidecar listens on ${open.join(", ")}`, "bind it to 127.0.0.1: apply the cluster's stack");
      const verbosity = lines.flatMap((line) =>
        [...line.matchAll(/(?:^|\s)--?v[= ]?(\d+)/g)].map(([, level]) => Number(level)),
      );
      if (Math.max(0, ...verbosity) >= 6)
        return fail("the sidecar logs requests, bodies included", "take its -v flag away");
      return ok(
        proxies.length > 0 ? "the sidecar hears loopback only, and logs no requests" : "no kubectl proxy is there",
      );
    },
  };
}

interface Question {
  readonly words: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const impersonate = (resource: string, name: string, more: Readonly<Record<string, string>> = {}) => ({
  verb: "impersonate",
  resource,
  name,
  ...more,
});

/** What the account must not be allowed. */
function forbidden({ users }: PlannedCluster, nonce: string): Question[] {
  const unnamed = `sallyport-doctor-${nonce}`;
  return [
    { words: "impersonate the group system:masters", attributes: impersonate("groups", "system:masters") },
    { words: "impersonate a group that no rule names", attributes: impersonate("groups", unnamed) },
    ...(users === "any"
      ? []
      : [{ words: "impersonate a user that no rule names", attributes: impersonate("users", unnamed) }]),
    {
      words: "impersonate service accounts",
      attributes: impersonate("serviceaccounts", "default", { namespace: "kube-system" }),
    },
    { words: "read secrets itself", attributes: { verb: "get", resource: "secrets", namespace: "kube-system" } },
    {
      words: "open sessions itself",
      attributes: { verb: "create", resource: "pods", subresource: "exec", namespace: "kube-system" },
    },
    { words: "do everything", attributes: { verb: "*", group: "*", resource: "*" } },
  ];
}

/** What it cannot do without. */
function needed({ groups, users }: PlannedCluster): Question[] {
  return [
    ...groups.map((group) => ({ words: `impersonate the group ${group}`, attributes: impersonate("groups", group) })),
    ...(users === "any" ? [] : users).map((user) => ({
      words: `impersonate the user ${user}`,
      attributes: impersonate("users", user),
    })),
    {
      words: "say which session a request is of",
      attributes: impersonate("userextras", "anything", {
        group: "authentication.k8s.io",
        subresource: "sallyport-session",
      }),
    },
  ];
}

/** The cluster's own answers to what the connector's account may do: more than the role says, other bindings included. */
export function impersonationCheck(
  cluster: PlannedCluster,
  view: ClusterView,
  { nonce }: Pick<Dependencies, "nonce">,
): Check {
  return {
    id: `impersonation:${cluster.name}`,
    run: async () => {
      const no = forbidden(cluster, nonce());
      const yes = needed(cluster);
      const allowed = await askReviews([...no, ...yes], cluster, view);
      const tooMuch = no.filter((_, index) => allowed[index]);
      if (tooMuch.length > 0) {
        return fail(
          `its account may ${tooMuch.map(({ words }) => words).join(", ")}`,
          `take the binding away that gives this to system:serviceaccount:${cluster.connector.namespace}:${cluster.connector.serviceAccount}`,
        );
      }
      const tooLittle = yes.filter((_, index) => !allowed[no.length + index]);
      if (tooLittle.length > 0) {
        return fail(
          `its account may not ${tooLittle.map(({ words }) => words).join(", ")}`,
          "npm run synth, then apply the cluster's stack: its role is made from the identity rules",
        );
      }
      const users = cluster.users === "any" ? "any user" : `${cluster.users.length} users`;
      return ok(`its account may impersonate ${users} and ${cluster.groups.length} groups, and nothing else`);
    },
  };
}

async function askReviews(
  questions: readonly Question[],
  cluster: PlannedCluster,
  view: ClusterView,
): Promise<boolean[]> {
  const { namespace, serviceAccount } = cluster.connector;
  const spec = {
    user: `system:serviceaccount:${namespace}:${serviceAccount}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
  };
  const list = {
    apiVersion: "v1",
    kind: "List",
    items: questions.map(({ attributes }) => ({
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { ...spec, resourceAttributes: attributes },
    })),
  };
  // One line for each: as JSON kubectl prints what it created one after the other, which is no JSON.
  const template = 'jsonpath={.status.allowed}{"\\n"}';
  const { stdout } = await view.run(["create", "--validate=false", "-f", "-", "-o", template], JSON.stringify(list));
  const answers = stdout.trim().split("\n");
  if (answers.length !== questions.length || answers.some((answer) => answer !== "true" && answer !== "false")) {
    throw new Error("kubectl printed something else than the answers to access reviews");
  }
  return answers.map((answer) => answer === "true");
}

const clusterRole = z.object({ rules: z.array(z.record(z.string(), z.array(z.string()))).nullish() });

/** The role is the generated one: neither widened by hand nor behind the identity rules. */
export function roleCheck({ name, role }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `cluster-role:${name}`,
    run: async () => {
      const { rules } = await view.json(clusterRole, ["get", "clusterrole", role.name]);
      return comparable(rules ?? []) === comparable(role.rules)
        ? ok("the ClusterRole is the generated one")
        : fail(
            `the ClusterRole ${role.name} is not the one generated from the identity rules`,
            "npm run synth, apply the cluster's stack; if nobody changed the rules, see who changed the role",
          );
    },
  };
}

/** Order means nothing in a rule, nor among rules. */
function comparable(rules: readonly (PolicyRule | Record<string, readonly string[]>)[]): string {
  const sorted = rules.map((rule) =>
    canonical(
      Object.fromEntries(
        Object.entries(rule)
          .filter(([, values]) => (values as readonly string[]).length > 0)
          .map(([key, values]) => [key, [...(values as readonly string[])].sort(byText)]),
      ),
    ),
  );
  return sorted.sort(byText).join("\n");
}

const byText = (one: string, other: string) => (one < other ? -1 : Number(one > other));

const serverVersion = z.object({ gitVersion: z.string() });

/** Kubernetes speaks WebSocket for exec by default since 1.30, for port-forward since 1.31 (KEP-4006). */
export function serverVersionCheck({ name }: PlannedCluster, view: ClusterView): Check {
  return {
    id: `server-version:${name}`,
    run: async (): Promise<Finding> => {
      const { stdout } = await view.run(["get", "--raw", "/version"]);
      const { gitVersion } = serverVersion.parse(JSON.parse(stdout));
      if (isAtLeast(gitVersion, "1.31")) return ok(gitVersion);
      if (isAtLeast(gitVersion, "1.30")) {
        return warn(
          `${gitVersion}: port-forward needs the feature gate PortForwardWebsockets`,
          "update to Kubernetes 1.31 or later",
        );
      }
      return fail(
        `${gitVersion}: its API server does not speak WebSocket by default`,
        "update to Kubernetes 1.31 or later",
      );
    },
  };
}

/** The API server's clock, as its answers are dated. */
export async function clusterDate(view: ClusterView): Promise<string | undefined> {
  // At this level kubectl shows the headers of answers, and of requests all but the credentials; only one line is kept.
  const { stderr } = await view.run(["get", "--raw", "/version", "-v=8"]);
  return /\bDate: (\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT)/.exec(stderr)?.[1];
}
