/** The stacks of a deployment. */
import { mkdirSync } from "node:fs";
import { relative, resolve } from "node:path";
import { App } from "cdktf";
import type { Deployment } from "./config/schema.ts";
import type { StateOptions } from "./stacks/backend.ts";
import { ClusterStack } from "./stacks/cluster.ts";
import { DEMO_STACK, DemoStack } from "./stacks/demo.ts";
import { EdgeStack } from "./stacks/edge.ts";

export interface AppOptions {
  /** Where the JSON goes. */
  readonly outDir: string;
  /** The deployment file's folder: local state is named from there. */
  readonly configDir: string;
}

/** Puts the stacks together. Makes the folder; the rest is written by `synth()`, which asks nobody. */
export function buildApp(deployment: Deployment, { outDir, configDir }: AppOptions): App {
  mkdirSync(outDir, { recursive: true });
  const app = new App({ outdir: outDir, stackTraces: false });
  const { state, account, clusters, demo } = deployment;
  const directory = state.kind === "local" ? state.directory : ".";
  const options: StateOptions = {
    state,
    account,
    // From a stack's own folder, where Terraform runs: no path of one machine is in the JSON.
    localDirectory: relative(resolve(outDir, "stacks", DEMO_STACK), resolve(configDir, directory)) || ".",
  };
  const edge = new EdgeStack(app, deployment, options);
  const demoStack = demo === null ? undefined : new DemoStack(app, deployment, demo, options);
  for (const cluster of clusters.filter(({ kubeconfig }) => kubeconfig !== undefined)) {
    const stack = new ClusterStack(app, deployment, cluster, options);
    stack.addDependency(edge);
    if (cluster.kubeconfig === "demo" && demoStack) stack.addDependency(demoStack);
  }
  return app;
}
