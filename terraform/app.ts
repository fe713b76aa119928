/** The Terraform stacks of a deployment. */
import { mkdirSync } from "node:fs";
import { relative, resolve } from "node:path";
import { App } from "cdktf";
import type { Deployment } from "./config/schema.ts";
import { DEMO_STACK } from "./config/stack-names.ts";
import type { StateOptions } from "./stacks/backend.ts";
import { ClusterStack } from "./stacks/cluster.ts";
import { DemoStack } from "./stacks/demo.ts";
import { EdgeStack } from "./stacks/edge.ts";
import { SecretsStack } from "./stacks/secrets.ts";

export interface AppOptions {
  /** Where the JSON is written. */
  readonly outDir: string;
  /** The deployment file's folder: paths of local state are relative to it. */
  readonly configDir: string;
}

/** Builds the stacks and creates the folder. `synth()` writes them, without network access. */
export function buildApp(deployment: Deployment, { outDir, configDir }: AppOptions): App {
  mkdirSync(outDir, { recursive: true });
  const app = new App({ outdir: outDir, stackTraces: false });
  const { name, state, account, clusters, demo } = deployment;
  const directory = state.kind === "local" ? state.directory : ".";
  const options: StateOptions = {
    state,
    deployment: name,
    account,
    // Relative to a stack's folder, where Terraform runs, so that the JSON contains no path of this machine.
    localDirectory: relative(resolve(outDir, "stacks", DEMO_STACK), resolve(configDir, directory, name)),
  };
  const edge = new EdgeStack(app, deployment, options);
  if (deployment.access.serviceTokens.length > 0) edge.addDependency(new SecretsStack(app, deployment, options));
  const demoStack = demo === null ? undefined : new DemoStack(app, deployment, demo, options);
  for (const cluster of clusters.filter(({ kubeconfig }) => kubeconfig !== undefined)) {
    const stack = new ClusterStack(app, deployment, cluster, options);
    stack.addDependency(edge);
    if (cluster.kubeconfig === "demo" && demoStack) stack.addDependency(demoStack);
  }
  return app;
}
