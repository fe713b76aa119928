/**
 * Service tokens were in the edge stack once. On an upgrade the stack `secrets` imports those that are still
 * in the edge stack's state, and the edge stack forgets them (its `removed` blocks): their ids and secrets
 * stay valid.
 */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Deployment } from "../../terraform/config/schema.ts";
import { serviceTokenNames } from "../../terraform/config/service-tokens.ts";
import { serviceTokenAddress } from "../../terraform/config/stack-names.ts";
import type { StackState } from "./stack-state.ts";

/** Beside the generated JSON. Nobody commits it: the next apply has nothing to import. */
const FILE = "import-service-tokens.tf.json";

/**
 * Has the stack `secrets` import what the edge stack's state has. Ids are taken from there and not looked up
 * by name: whoever may create service tokens could name one like ours, and know its secret.
 *
 * @param edge the edge stack's state
 * @param secretsFolder the folder of the stack `secrets`
 * @returns the names of the tokens
 */
export function adoptServiceTokens(deployment: Deployment, edge: StackState, secretsFolder: string): string[] {
  const found = serviceTokenNames(deployment).flatMap((name) => {
    const to = serviceTokenAddress(name);
    const id = edge.get(to)?.["id"];
    return typeof id === "string" ? [{ name, to, id: `accounts/${deployment.account}/${id}` }] : [];
  });
  const file = join(secretsFolder, FILE);
  if (found.length === 0) {
    rmSync(file, { force: true });
  } else {
    const blocks = found.map(({ to, id }) => ({ to, id }));
    writeFileSync(file, `${JSON.stringify({ import: blocks }, null, 2)}\n`);
  }
  return found.map(({ name }) => name);
}
