/**
 * Which Workers a change deploys: the real command with the real wrangler, in a copy of the tree that is
 * changed.
 */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deploymentText, outputsText } from "../support/planned.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const home = mkdtempSync(join(tmpdir(), "sallyport-deploy-changes-"));
/** Elsewhere than the checkout, and deeper: a fingerprint must not depend on it. */
const copy = join(home, "a/copy");
const SOURCES = [
  "dev",
  "tools",
  "command-line",
  "terraform",
  "worker",
  "console",
  "durable",
  "contract",
  "kubernetes",
  "audit",
  "common",
  "migrations",
];
const FILES = ["package.json", "wrangler.jsonc", "tsconfig.json", "tsconfig.base.json"];
const outputs = join(home, "outputs.json");
const before = join(home, "before.json");

interface Deployed {
  readonly edge: { readonly tag: string };
  readonly objects: { readonly tag: string };
}
interface DryRun {
  readonly stdout: string;
  readonly deployed: Deployed;
}

/** @param against compares with what runs before the change */
async function dryRun(project: string, deployment: string, against: boolean): Promise<DryRun> {
  const config = join(home, "deployment.jsonc");
  writeFileSync(config, deployment);
  const args = ["tools/sallyport.js", "deploy", "--dry-run", "--config", config, "--outputs", outputs];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...args, ...(against ? ["--against", before] : [])],
    // Without anybody's sign-in.
    { cwd: project, env: { PATH: process.env["PATH"], HOME: home } },
  );
  const written = readFileSync(join(project, "terraform/out/sallyport/deployed.dry-run.json"), "utf8");
  return { stdout, deployed: JSON.parse(written) as Deployed };
}

function change(file: string, from: string | RegExp, to: string): void {
  const path = join(copy, file);
  const text = readFileSync(path, "utf8");
  const changed = text.replace(from, to);
  expect(changed, `${file} has ${from}`).not.toBe(text);
  writeFileSync(path, changed);
}

/** At the end of a module, where a bundler must keep it. */
const SIDE_EFFECT = '$&\nconsole.debug("changed by a test");\n';

let unchanged: Deployed;

beforeAll(async () => {
  for (const each of [...SOURCES, ...FILES]) {
    const isSource = (path: string) => !path.startsWith(join(ROOT, "terraform/out"));
    cpSync(join(ROOT, each), join(copy, each), { recursive: true, filter: isSource });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  writeFileSync(outputs, outputsText());
  const { deployed } = await dryRun(ROOT, deploymentText(), false);
  unchanged = deployed;
  writeFileSync(before, JSON.stringify(deployed));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

describe("a dry run against what an earlier one wrote", () => {
  it("names the edge alone after a changed rule, identity, limit, default of a limit, or file of the API", async () => {
    change("worker/config/shared-fields.ts", "default(28_800)", "default(28_000)");
    change("worker/api/router.ts", /[\s\S]*/, SIDE_EFFECT);
    const { stdout, deployed } = await dryRun(
      copy,
      deploymentText({
        sallyport: {
          identities: [{ match: { email: "alice@acme.test" }, groups: ["other"] }],
          rules: [{ name: "no-vnc", match: { kinds: ["vnc"] }, action: "refuse" }],
          limits: { maxDurationSeconds: 7_200 },
        },
      }),
      true,
    );
    expect(stdout).toContain("Objects: sallyport-objects is unchanged");
    expect(stdout).toMatch(/\d\. deploy the edge, sallyport: no session ends/);
    expect(stdout).not.toContain("deploy the objects");
    expect(deployed.objects.tag).toBe(unchanged.objects.tag);
    expect(deployed.edge.tag).not.toBe(unchanged.edge.tag);
  });

  it("names both after a changed file of durable/", async () => {
    change("durable/user-sessions.ts", /[\s\S]*/, SIDE_EFFECT);
    const { stdout } = await dryRun(copy, deploymentText(), true);
    expect(stdout).toMatch(
      /\d\. deploy the objects, sallyport-objects: .*\n {2}\d\. deploy the edge, sallyport: no session ends/,
    );
    cpSync(join(ROOT, "durable"), join(copy, "durable"), { recursive: true });
  });

  it("names both after an added cluster, which is a binding of both", async () => {
    const cluster = (name: string) => ({
      ...{ name, hostnames: [`${name}.k8s.acme.test`], apiServer: { cidrs: ["10.0.0.1/32"] } },
      kubeconfig: { path: "/nowhere/kubeconfig", context: name },
    });
    const id = "0190f3a1-7b2c-4d5e-8f60-112233445566";
    const { vpc_service_ids, tunnel_ids } = JSON.parse(outputsText()) as Record<string, { value: object }>;
    const more = {
      vpc_service_ids: { ...vpc_service_ids?.value, staging: id },
      tunnel_ids: { ...tunnel_ids?.value, staging: id },
    };
    writeFileSync(outputs, outputsText(more));
    const { stdout } = await dryRun(copy, deploymentText({ clusters: [cluster("prod"), cluster("staging")] }), true);
    expect(stdout).toContain("Objects: sallyport-objects is deployed, since its code or bindings have changed");
    expect(stdout).toMatch(/\d\. deploy the objects, sallyport-objects: .*\n {2}\d\. deploy the edge, sallyport/);
  });
});
