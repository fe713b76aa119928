/**
 * The stack of a soak run, in a process of its own. So it can be killed as a whole, and its embedded cluster
 * does not share an event loop with the clients. It ends with its parent.
 */
import type { UpstreamTransport } from "../../../contract/upstream.ts";
import { type ConfigOverrides, startStack } from "../../../dev/stack/index.ts";

export interface StackRequest {
  readonly stateDir: string;
  readonly port: number;
  readonly config: ConfigOverrides;
  /** A `kubectl proxy` in front of a real cluster. By default the embedded cluster. */
  readonly upstream?: string | undefined;
  /** How sessions reach the cluster. */
  readonly transport?: UpstreamTransport | undefined;
  /** Wrangler configuration of another Worker in the edge's place. */
  readonly wranglerConfig?: string | undefined;
  /** Runs the objects in a workerd of their own. */
  readonly objectsApart?: boolean;
  /** Opens workerd's inspector. */
  readonly inspector?: boolean;
}

const request = JSON.parse(process.argv[2] ?? "") as StackRequest;
const stack = await startStack({ ...request, workerSocket: true, quiet: true, callerHandlesSignals: true });
const stop = () => void stack.stop().finally(() => process.exit(0));
process.once("disconnect", stop);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);

/** The message to the parent when everything answers. */
export interface StackFacts {
  readonly personas: typeof stack.personas;
  readonly stateDir: string;
  readonly kubeconfig: string;
  readonly d1Path: string;
  readonly logPath: string;
  readonly workerUrl: string;
  readonly inspectorUrl: string;
  readonly clusterAuditLog: string;
  readonly access: { readonly issuer: string; readonly audience: string };
}
process.send?.({
  personas: stack.personas,
  stateDir: stack.stateDir,
  kubeconfig: stack.kubeconfig,
  d1Path: stack.d1Path,
  logPath: stack.logPath,
  workerUrl: stack.workerUrl ?? "",
  inspectorUrl: stack.inspectorUrl ?? "",
  clusterAuditLog: stack.clusterAuditLog ?? "",
  access: stack.access,
} satisfies StackFacts);
