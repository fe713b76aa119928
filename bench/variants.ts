/** The ways to the cluster that are compared. A new one is a line in `WORKERS`. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type ConfigOverrides, type Stack, startStack } from "../dev/stack/index.ts";
import { Kubectl } from "../test/e2e/support/kubectl.ts";
import { AS_USER } from "./untouched/persona.ts";

export interface WorkerDefinition {
  readonly name: string;
  /** Another Worker in Sallyport's place. */
  readonly wranglerConfig?: string;
  /** Other values than the local stack's usual ones. */
  readonly config?: ConfigOverrides;
}

/** Of plain requests, only what is always on record. */
const AS_LITTLE_AS_CAN_BE = {
  precursors: { record: false },
  secretReads: { record: false },
  mutations: { record: false },
};

export const WORKERS: readonly WorkerDefinition[] = [
  { name: "untouched", wranglerConfig: resolve(import.meta.dirname, "untouched/wrangler.jsonc") },
  { name: "unrecorded", config: { recording: { mode: "off" } } },
  { name: "unaudited", config: { audit: { requests: AS_LITTLE_AS_CAN_BE } } },
  { name: "sallyport" },
];

/** The variants that the others are compared with. */
export const YARDSTICKS = ["untouched", "kubectl-proxy"] as const;

export interface Variant {
  readonly name: string;
  /** Where the Kubernetes API answers. */
  readonly url: string;
  /** What a client without a kubeconfig must say of itself here. */
  readonly headers: Readonly<Record<string, string>>;
  readonly kubectl: Kubectl;
  /** It is what the Workers have behind them. */
  readonly isUpstream: boolean;
  /** What it was started from, for a scenario that needs a fresh one. */
  readonly worker: WorkerDefinition | undefined;
  /** The process it runs in, where it is a Worker. */
  readonly workerdPid?: () => number | undefined;
}

/** An address of the cluster that believes Impersonate headers: the embedded cluster, or a `kubectl proxy`. */
export function plainVariant(name: string, url: string, home: string, isUpstream: boolean): Variant {
  const kubeconfig = plainKubeconfig(name, home);
  writeFileSync(kubeconfig, renderKubeconfig(url), { mode: 0o600 });
  const headers = { "Impersonate-User": AS_USER.user, "Impersonate-Group": AS_USER.group };
  const kubectl = new Kubectl(kubeconfig, "bench", join(home, name));
  return { name, url, headers, kubectl, isUpstream, worker: undefined };
}

export function plainKubeconfig(name: string, home: string): string {
  return join(home, `${name}.kubeconfig`);
}

/** The context of a plain variant's kubeconfig that says nothing of a person: for a `kubectl proxy` in front of it. */
export const NOBODY = "nobody";

/** A kubeconfig without credentials: as the bench's person, or as nobody. */
function renderKubeconfig(server: string): string {
  const { user, group } = AS_USER;
  const names = ["bench", NOBODY];
  return JSON.stringify({
    ...{ apiVersion: "v1", kind: "Config", "current-context": "bench" },
    clusters: [{ name: "bench", cluster: { server } }],
    users: names.map((name) => ({ name, user: name === NOBODY ? {} : { as: user, "as-groups": [group] } })),
    contexts: names.map((name) => ({ name, context: { cluster: "bench", user: name } })),
  });
}

export interface StartedWorker {
  readonly stack: Stack;
  readonly variant: Variant;
}

/** Starts a Worker in front of the upstream, behind the Access stand-in. */
export async function startWorker(
  worker: WorkerDefinition,
  upstream: string,
  home: string,
  signal: AbortSignal,
  limits: ConfigOverrides["limits"] = {},
): Promise<StartedWorker> {
  const { name, wranglerConfig, config } = worker;
  const stateDir = mkdtempSync(join(home, `${name}-`));
  const stack = await startStack({
    ...{ stateDir, port: 0, upstream, wranglerConfig, signal },
    ...{ quiet: true, callerHandlesSignals: true },
    config: { ...config, limits: { ...config?.limits, ...limits } },
  });
  const kubectl = new Kubectl(stack.kubeconfig, "alice", stateDir);
  const variant = { name, url: stack.personas.alice.url, headers: {}, kubectl, isUpstream: false, worker };
  return { stack, variant: { ...variant, workerdPid: () => stack.workerdPid() } };
}
