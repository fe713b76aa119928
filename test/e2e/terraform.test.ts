/**
 * `terraform validate` of the synthesized JSON, with everything optional in it. A script may do it, where the providers can
 * not be downloaded: TERRAFORM_VALIDATE names one that takes folders and exits with 0 where they are valid.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { buildApp } from "../../terraform/app.ts";
import { clusterInput, deploymentInput, deploymentOf, PROVIDER_ID } from "../support/deployment.ts";

const home = mkdtempSync(join(tmpdir(), "sallyport-terraform-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const provider = { identityProvider: PROVIDER_ID };
const everything = deploymentOf({
  access: {
    ...deploymentInput().access,
    allow: [
      { email: "alice@example.com" },
      { emailDomain: "example.com" },
      { accessGroup: PROVIDER_ID },
      { group: { kind: "okta", ...provider, name: "sre" } },
      { group: { kind: "entra", ...provider, id: PROVIDER_ID } },
      { group: { kind: "google", ...provider, email: "sre@example.com" } },
      { group: { kind: "github", ...provider, organization: "example", team: "sre" } },
      { group: { kind: "oidc", ...provider, value: "sre" } },
      { group: { kind: "saml", ...provider, value: "sre" } },
      { serviceToken: "ci" },
    ],
    admins: [{ email: "alice@example.com" }, { serviceToken: "ci" }],
    require: [{ posture: PROVIDER_ID }, { country: "DE" }, { ip: "192.0.2.0/24" }, { loginMethod: PROVIDER_ID }],
    adminRequire: [{ posture: PROVIDER_ID }],
    identityProviders: [PROVIDER_ID],
    warp: true,
    serviceTokens: [{ name: "ci", secretVersion: 2, previousSecretUntil: "2026-12-01T12:00:00Z" }],
  },
  clusters: [
    clusterInput("prod", {
      hostnames: Array.from({ length: 6 }, (_, index) => `c${index}.k8s.example.com`),
      transport: "tcp",
      connector: { replicas: 5, metricsFrom: "monitoring", dns: ["10.96.0.10/32"] },
      impersonate: { users: "any" },
    }),
    clusterInput("try", { kubeconfig: "demo" }),
  ],
  record: { location: "weur", retentionDays: 30, deleteAfterDays: 60, sealRetentionDays: 400 },
  demo: { digitalocean: { region: "fra1", version: "1.36" } },
});
const outDir = join(home, "out");
const app = buildApp(everything, { outDir, configDir: home });
app.synth();
const stacks = Object.keys(app.manifest.stacks);
const folderOf = (stack: string) => join(outDir, "stacks", stack);

interface Verdict {
  /** Undefined where nothing can be said. */
  readonly isValid: boolean | undefined;
  readonly output: string;
}

/** A script that is given. It knows the providers of these stacks, and perhaps not that of the demo. */
function byScript(script: string, folder: string): Verdict {
  const { status, stdout, stderr, error } = spawnSync(script, [folder], { encoding: "utf8", timeout: 100_000 });
  if (error) throw error;
  const output = stdout + stderr;
  const isUnknown = /^SKIP/m.test(output) || /digitalocean[\s\S]*could not connect to registry/.test(output);
  return { isValid: isUnknown ? undefined : status === 0, output };
}

function byTerraform(folder: string): Verdict {
  const terraform = (...args: string[]) =>
    spawnSync("terraform", [`-chdir=${folder}`, ...args, "-no-color"], {
      encoding: "utf8",
      timeout: 100_000,
      env: { ...process.env, CHECKPOINT_DISABLE: "1", TF_PLUGIN_CACHE_DIR: process.env["TF_PLUGIN_CACHE_DIR"] ?? "" },
    });
  const init = terraform("init", "-backend=false", "-input=false");
  if (init.error) return { isValid: undefined, output: "there is no terraform on the path" };
  if (init.status !== 0) {
    const cause = init.stderr.replaceAll(/[│╷╵]/g, "").replaceAll(/\s+/g, " ").trim();
    // Only a missing network is a reason to skip.
    const isOffline = /registry|could not connect|connection|timeout|lookup/i.test(cause);
    return { isValid: isOffline ? undefined : false, output: cause };
  }
  const { status, stdout, stderr } = terraform("validate");
  return { isValid: status === 0, output: stdout + stderr };
}

const script = process.env["TERRAFORM_VALIDATE"];
const validate = (folder: string) => (script ? byScript(script, folder) : byTerraform(folder));
const canValidate = validate(folderOf("edge"));
if (canValidate.isValid === undefined) {
  console.error(`SKIP terraform validate: ${canValidate.output.slice(0, 300)}`);
}

describe.skipIf(canValidate.isValid === undefined)("terraform validate", () => {
  it.for(stacks)("accepts %s", (stack, { skip }) => {
    const { isValid, output } = validate(folderOf(stack));
    const isOfDemo = stack === "demo" || stack === "cluster-try";
    if (isValid === undefined && isOfDemo) {
      console.error(`SKIP terraform validate of ${stack}: its provider is not available here`);
      skip();
    }
    expect(isValid, output).toBe(true);
  });

  it("finds an attribute that there is not", () => {
    const folder = join(home, "misspelled");
    cpSync(folderOf("edge"), folder, { recursive: true });
    const file = join(folder, "cdk.tf.json");
    writeFileSync(file, readFileSync(file, "utf8").replaceAll('"session_duration":', '"sesion_duration":'));
    expect(validate(folder)).toMatchObject({ isValid: false, output: expect.stringContaining("sesion_duration") });
  });
});
