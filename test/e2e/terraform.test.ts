/**
 * The real Terraform: `validate` of the synthesized JSON, with everything optional in it, and what it says of
 * a plan that waits for another stack. A script may validate, where the providers can not be downloaded:
 * TERRAFORM_VALIDATE names one that takes folders and exits with 0 where they are valid.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { buildApp } from "../../terraform/app.ts";
import { serviceTokenAddress } from "../../terraform/config/stack-names.ts";
import { adoptServiceTokens } from "../../tools/deployment/adopt-service-tokens.ts";
import { explainPlanFailure } from "../../tools/deployment/plan-failure.ts";
import { readStackState } from "../../tools/deployment/stack-state.ts";
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
const TOKEN = serviceTokenAddress("ci");
// As on an upgrade.
adoptServiceTokens(everything, new Map([[TOKEN, { id: PROVIDER_ID }]]), folderOf("secrets"));

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

const hasTerraform = spawnSync("terraform", ["version"]).error === undefined;
if (!hasTerraform) console.error("SKIP plans and applies: there is no terraform on the path");

/** A stack of Terraform's own provider alone, so that it needs no registry. */
function stackOf(name: string, content: object): (...args: string[]) => string {
  const folder = join(home, "plans", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "cdk.tf.json"), JSON.stringify(content, null, 2));
  return (...args) =>
    spawnSync("terraform", [`-chdir=${folder}`, ...args], {
      encoding: "utf8",
      env: { ...process.env, CHECKPOINT_DISABLE: "1" },
    }).stdout;
}

describe.skipIf(!hasTerraform)("why a plan fails, as Terraform says it", () => {
  const withIds = (ids: object) => stackOf("secrets", { output: { service_token_ids: { value: ids } } });
  const reads = (expression: string) => ({
    data: {
      terraform_remote_state: { secrets: { backend: "local", config: { path: "../secrets/terraform.tfstate" } } },
    },
    resource: { terraform_data: { policy: { input: `\${${expression}}` } } },
  });
  const ids = "data.terraform_remote_state.secrets.outputs.service_token_ids";

  function plan(expression: string, more: object = {}) {
    const edge = stackOf("edge", { ...reads(expression), ...more });
    edge("init", "-input=false");
    return explainPlanFailure(edge("plan", "-input=false", "-json"), ["secrets"]);
  }

  it("is that another stack was never applied, or lacks what is new; anything else is a fault", () => {
    const waits = { waitsFor: ["secrets"], faults: [] };
    expect(plan(`${ids}["ci"]`)).toEqual(waits);
    const secrets = withIds({ doctor: "1" });
    secrets("init", "-input=false");
    secrets("apply", "-auto-approve", "-input=false");
    expect(plan(`${ids}["doctor"]`)).toEqual({ waitsFor: [], faults: [] });
    expect(plan(`${ids}["ci"]`)).toEqual(waits);
    expect(plan("data.terraform_remote_state.secrets.outputs.client_ids")).toEqual(waits);
    const locals = { locals: { names: { doctor: "1" } } };
    expect(plan('local.names["ci"]', locals)).toEqual({ waitsFor: [], faults: ["Invalid index"] });
    expect(plan(`${ids}[local.names["ci"]]`, locals).faults).toEqual(["Invalid index"]);
    writeFileSync(join(home, "plans/secrets/terraform.tfstate"), "not a state");
    expect(plan(`${ids}["doctor"]`)).toMatchObject({
      waitsFor: [],
      faults: expect.arrayContaining(["Unsupported state file format"]),
    });
  });
});

describe.skipIf(!hasTerraform)("an upgrade from the version whose edge stack had the service tokens", () => {
  /** The same with a resource of Terraform's own provider in place of Cloudflare's. */
  const builtIn = <T>(value: T): T =>
    JSON.parse(JSON.stringify(value).replaceAll("cloudflare_zero_trust_access_service_token", "terraform_data")) as T;
  const read = (file: string) => JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const apply = ["apply", "-auto-approve", "-input=false"];
  const token = { resource: { terraform_data: { "service-token-ci": {} } } };
  const address = builtIn(TOKEN);

  it("moves them to the stack of secrets, and destroys none", () => {
    const before = stackOf("edge-before", token);
    before("init", "-input=false");
    before(...apply);
    const edge = readStackState(join(home, "plans/edge-before"));
    const id = edge.get(address)?.["id"];
    expect(id).toMatch(/^[0-9a-f-]{36}$/);

    const secrets = stackOf("secrets-after", token);
    const folder = join(home, "plans/secrets-after");
    expect(adoptServiceTokens(everything, new Map([[TOKEN, edge.get(address) ?? {}]]), folder)).toEqual(["ci"]);
    const imports = join(folder, "import-service-tokens.tf.json");
    writeFileSync(imports, JSON.stringify(builtIn(read(imports))));
    secrets("init", "-input=false");
    expect(secrets(...apply)).toContain("1 imported, 0 added, 0 changed, 0 destroyed");
    expect(readStackState(folder).get(address)?.["id"]).toBe(`accounts/${everything.account}/${id}`);
    // Again, as if the file had stayed.
    expect(secrets(...apply)).toContain("0 added, 0 changed, 0 destroyed");

    const { removed } = builtIn(read(join(folderOf("edge"), "cdk.tf.json")));
    expect(stackOf("edge-before", { removed })(...apply)).toContain("0 added, 0 changed, 0 destroyed");
    expect(readStackState(join(home, "plans/edge-before"))).toEqual(new Map());
  });

  it("destroys in the edge stack only what the deployment file no longer has", () => {
    const edge = stackOf("edge-gone", { resource: { terraform_data: { "service-token-old": {} } } });
    edge("init", "-input=false");
    edge(...apply);
    const { removed } = builtIn(read(join(folderOf("edge"), "cdk.tf.json")));
    expect(stackOf("edge-gone", { removed })(...apply)).toContain("0 added, 0 changed, 1 destroyed");
  });
});
