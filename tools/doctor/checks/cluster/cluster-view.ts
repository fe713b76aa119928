import * as z from "zod";
import { err, ok } from "../../../../common/result.ts";
import type { PlannedCluster } from "../../../deployment/plan.ts";
import { type Answer, type Dependencies, failure, skipped } from "../../check.ts";

/** A cluster as the operator's own kubectl shows it. An object that several checks need is fetched once. */
export class ClusterView {
  readonly #cluster: PlannedCluster;
  readonly #kubectl: Dependencies["kubectl"];
  readonly #answers = new Map<string, Promise<Answer<unknown>>>();

  constructor(cluster: PlannedCluster, { kubectl }: Pick<Dependencies, "kubectl">) {
    this.#cluster = cluster;
    this.#kubectl = kubectl;
  }

  /** Runs kubectl. @returns what it printed, or why the cluster cannot be asked */
  async run(
    args: readonly string[],
    input?: string,
  ): Promise<Answer<{ readonly stdout: string; readonly stderr: string }>> {
    const { kubeconfig } = this.#cluster;
    if (!kubeconfig) return err(skipped("the deployment file names no kubeconfig for this cluster"));
    const { code, stdout, stderr } = await this.#kubectl(kubeconfig, args, input);
    if (code === 127) return err(skipped("kubectl is not installed here"));
    if (code !== 0) return err(failure(`kubectl ${args[0] ?? ""}: ${lastLine(stderr)}`, adviceOn(stderr)));
    return ok({ stdout, stderr });
  }

  /** Runs `kubectl get … -o json`. @throws ZodError where the answer has another shape */
  async get<T>(schema: z.ZodType<T>, ...args: readonly string[]): Promise<Answer<T>> {
    const key = args.join(" ");
    const answer = this.#answers.get(key) ?? this.#getJson(args);
    this.#answers.set(key, answer);
    const result = await answer;
    return result.ok ? ok(schema.parse(result.value)) : result;
  }

  async #getJson(args: readonly string[]): Promise<Answer<unknown>> {
    const printed = await this.run(["get", ...args, "-o", "json"]);
    return printed.ok ? ok(JSON.parse(printed.value.stdout)) : printed;
  }

  /** The connector's Deployment. */
  connector(): Promise<Answer<ConnectorDeployment>> {
    const { namespace, deployment } = this.#cluster.connector;
    return this.get(deploymentSchema, "deployment", deployment, "-n", namespace);
  }
}

const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "no message";

function adviceOn(stderr: string): string {
  if (/NotFound/.test(stderr)) return "apply the cluster's stack";
  if (/Forbidden/.test(stderr)) return "use a kubeconfig with the permissions that docs/UPGRADES.md lists";
  return "try kubectl with the same kubeconfig and context";
}

const container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()).default([]),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).default([]),
});
export type Container = z.output<typeof container>;

const deploymentSchema = z.object({
  metadata: z.object({ generation: z.number().default(0) }),
  spec: z.object({
    replicas: z.number().default(1),
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()).default({}) }),
      spec: z.object({
        serviceAccountName: z.string().optional(),
        containers: z.array(container),
        // Kubernetes' sidecars are init containers that are restarted (since 1.29).
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
export type ConnectorDeployment = z.output<typeof deploymentSchema>;

/** All containers of the connector's pods, sidecars included. */
export function containersOf({ spec }: ConnectorDeployment): readonly Container[] {
  return [...spec.template.spec.containers, ...spec.template.spec.initContainers];
}

/** The container's whole command line, as far as the manifest sets it. */
export function commandLineOf({ command, args }: Container): string {
  return [...command, ...args].join(" ");
}
