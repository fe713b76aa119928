/** `terraform validate` of the synthesized JSON, where Terraform and its providers are available. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { buildApp } from "../../terraform/app.ts";
import { clusterInput, deploymentOf } from "../support/deployment.ts";

const home = mkdtempSync(join(tmpdir(), "sallyport-terraform-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const clusters = [clusterInput("prod"), clusterInput("try", { kubeconfig: "demo" })];
const demo = { digitalocean: { region: "fra1", version: "1.36" } };
const outDir = join(home, "out");
buildApp(deploymentOf({ clusters, demo }), { outDir, configDir: home }).synth();

function terraform(stack: string, ...args: string[]) {
  return spawnSync("terraform", [`-chdir=${join(outDir, "stacks", stack)}`, ...args], {
    encoding: "utf8",
    timeout: 100_000,
    env: { ...process.env, CHECKPOINT_DISABLE: "1", TF_PLUGIN_CACHE_DIR: process.env["TF_PLUGIN_CACHE_DIR"] ?? "" },
  });
}

/** Why Terraform cannot be run. If it can for the first stack, it can for the others. */
function reason(): string | undefined {
  if (spawnSync("terraform", ["version"]).error) return "there is no terraform on the path";
  const { status, stderr } = terraform("edge", "init", "-backend=false", "-input=false", "-no-color");
  if (status === 0) return undefined;
  const cause = stderr.replaceAll(/[│╷╵]/g, "").replaceAll(/\s+/g, " ").trim();
  // Only a missing network is a reason to skip.
  if (!/registry|could not connect|connection|timeout|lookup/i.test(cause)) throw new Error(`terraform init: ${cause}`);
  return `its providers are not available here: ${cause.slice(0, 300)}`;
}

const why = reason();
if (why !== undefined) console.error(`SKIP terraform validate: ${why}`);

describe.skipIf(why !== undefined)("terraform validate", () => {
  it.each(["edge", "cluster-prod", "cluster-try", "demo"])("accepts %s", (stack) => {
    if (stack !== "edge")
      expect(terraform(stack, "init", "-backend=false", "-input=false", "-no-color").status).toBe(0);
    const { stdout } = terraform(stack, "validate", "-json");
    expect(JSON.parse(stdout)).toMatchObject({ valid: true, diagnostics: [] });
  });
});
