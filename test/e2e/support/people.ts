/** A local stack on free ports in its own folder, and kubectl for its people. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kubectl } from "../../../dev/programs/kubectl.ts";
import { type ConfigOverrides, type Stack, type StackOptions, startStack } from "../../../dev/stack/index.ts";

export interface TestStack {
  readonly stack: Stack;
  readonly home: string;
  readonly alice: Kubectl;
  readonly bob: Kubectl;
  readonly mallory: Kubectl;
  kubectl(context: string, env?: Readonly<Record<string, string>>): Kubectl;
  /** Sends a request to the admin API as the administrator. */
  admin(method: "GET" | "PUT" | "DELETE", path: string): Promise<Response>;
  stop(): Promise<void>;
}

/**
 * @param config overrides the local stack's configuration
 * @param more options of the stack itself
 */
export async function startTestStack(
  config: ConfigOverrides = {},
  more: Pick<
    StackOptions,
    "accessTokenSeconds" | "inspector" | "secondCluster" | "transport" | "upstream" | "webhooks" | "workerSocket"
  > = {},
): Promise<TestStack> {
  const home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
  const stack = await startStack({ stateDir: join(home, "state"), port: 0, config, quiet: true, ...more });
  const kubectl = (context: string, env = {}) => new Kubectl(stack.kubeconfig, context, home, env);
  return {
    stack,
    home,
    alice: kubectl("alice"),
    bob: kubectl("bob"),
    mallory: kubectl("mallory"),
    kubectl,
    admin: (method, path) => fetch(`${stack.personas.admin.url}/-/admin/${path}`, { method }),
    stop: async () => {
      await stack.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
