/** The variants that are compared. A new Worker is a line in `WORKERS`. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { UpstreamTransport } from "../contract/upstream.ts";
import { Kubectl } from "../dev/programs/kubectl.ts";
import { type ConfigOverrides, type Stack, startStack } from "../dev/stack/index.ts";
import { AS_USER } from "./untouched/persona.ts";

export interface WorkerDefinition {
  readonly name: string;
  /** Wrangler configuration of another Worker in the edge's place. */
  readonly wranglerConfig?: string;
  /** Values that replace those of the local stack. */
  readonly config?: ConfigOverrides;
  /** How sessions reach the cluster. Default: over TCP. */
  readonly transport?: UpstreamTransport;
}

/** Of API requests, only those that are always in the audit log. */
const AUDIT_MINIMUM = {
  precursors: { record: false },
  secretReads: { record: false },
  mutations: { record: false },
};

/** One change after the other is more than a person makes in a minute, or a day. */
const MANY_CHANGES = { audit: { requests: { maxChangesPerMinute: 100_000, maxChangesPerDay: 100_000_000 } } };

export const WORKERS: readonly WorkerDefinition[] = [
  { name: "untouched", wranglerConfig: resolve(import.meta.dirname, "untouched/wrangler.jsonc") },
  { name: "one-row", wranglerConfig: resolve(import.meta.dirname, "one-row/wrangler.jsonc") },
  { name: "relay-only", wranglerConfig: resolve(import.meta.dirname, "relay-only/wrangler.jsonc") },
  { name: "unrecorded", config: { ...MANY_CHANGES, recording: { mode: "off" } } },
  { name: "unaudited", config: { audit: { requests: AUDIT_MINIMUM } } },
  { name: "sallyport", config: MANY_CHANGES },
  { name: "sallyport-websocket", config: MANY_CHANGES, transport: "websocket" },
];

/** The variants that the others are compared with. */
export const YARDSTICKS = ["untouched", "relay-only", "kubectl-proxy"] as const;

export interface Variant {
  readonly name: string;
  /** Address of the Kubernetes API. */
  readonly url: string;
  /** Headers that a client without a kubeconfig must send. */
  readonly headers: Readonly<Record<string, string>>;
  readonly kubectl: Kubectl;
  /** Whether it is the Workers' upstream. */
  readonly isUpstream: boolean;
  /** Its definition, for a scenario that needs a fresh one. */
  readonly worker: WorkerDefinition | undefined;
  /** Its process, if it is a Worker. */
  readonly workerdPid?: () => number | undefined;
}

/** An address of the cluster that accepts Impersonate headers: the embedded cluster, or a `kubectl proxy`. */
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

/** The context of a plain variant's kubeconfig without a user, for a `kubectl proxy` in front of it. */
export const NOBODY = "nobody";

/** Renders a kubeconfig without credentials: as the benchmark's user, or as nobody. */
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

/** Starts the local stack in front of the upstream. */
export async function startWorker(
  worker: WorkerDefinition,
  upstream: string,
  home: string,
  signal: AbortSignal,
  { limits = {}, inspector = false }: { limits?: ConfigOverrides["limits"]; inspector?: boolean } = {},
): Promise<StartedWorker> {
  const { name, wranglerConfig, config, transport = "tcp" } = worker;
  const stateDir = mkdtempSync(join(home, `${name}-`));
  const stack = await startStack({
    ...{ stateDir, port: 0, upstream, transport, wranglerConfig, signal },
    ...{ quiet: true, callerHandlesSignals: true, inspector },
    config: { ...config, limits: { ...config?.limits, ...limits } },
  });
  const kubectl = new Kubectl(stack.kubeconfig, "alice", stateDir);
  const variant = { name, url: stack.personas.alice.url, headers: {}, kubectl, isUpstream: false, worker };
  return { stack, variant: { ...variant, workerdPid: () => stack.workerdPid() } };
}
