/** Deployments for tests, and the Terraform JSON that is synthesized for them. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildApp } from "../../terraform/app.ts";
import { parseDeployment } from "../../terraform/config/load.ts";
import type { Deployment, DeploymentInput } from "../../terraform/config/schema.ts";

type Input = Omit<DeploymentInput, "$schema">;
export type ClusterInput = Input["clusters"][number];
export type Identities = Input["sallyport"]["identities"];

export const ACCOUNT = "0123456789abcdef0123456789abcdef";
export const PROVIDER_ID = "699d98f1-5f9f-4b1b-a7d5-6a1b2c3d4e5f";

export const IDENTITIES: Identities = [
  { match: { email: "Alice@example.com" }, groups: ["platform"], roles: ["admin"], extra: { team: ["sre", "core"] } },
  { match: { serviceToken: "ci" }, user: "ci-deployer", groups: ["deployers"] },
];

/** The smallest complete deployment, with some fields replaced. */
export function deploymentInput(change: Partial<Input> = {}): Input {
  return {
    name: "sallyport",
    account: ACCOUNT,
    access: {
      teamDomain: "https://example.cloudflareaccess.com",
      allow: [{ emailDomain: "example.com" }, { serviceToken: "ci" }],
      admins: [{ email: "alice@example.com" }],
      serviceTokens: ["ci"],
    },
    clusters: [clusterInput("prod")],
    record: { location: "weur", retentionDays: 30 },
    sallyport: { identities: IDENTITIES },
    ...change,
  };
}

export function clusterInput(name: string, change: Partial<ClusterInput> = {}): ClusterInput {
  return {
    name,
    hostnames: [`${name}.k8s.example.com`],
    kubeconfig: { path: "~/.kube/config", context: name },
    apiServer: { cidrs: ["10.0.0.1/32"], port: 6443 },
    ...change,
  };
}

/** The parsed deployment. @throws DeploymentError */
export function deploymentOf(change: Partial<Input> = {}, warn?: (message: string) => void): Deployment {
  return parseDeployment(JSON.stringify(deploymentInput(change)), "deployment.jsonc", warn);
}

/** Attributes of resources or data sources, by type and name. */
export type Blocks = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;

/** A stack's JSON, as far as tests read it. */
export interface StackJson {
  readonly terraform: {
    readonly required_version: string;
    readonly required_providers: Readonly<Record<string, { readonly source: string; readonly version: string }>>;
    readonly backend: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  readonly provider: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
  readonly resource: Blocks;
  readonly data?: Blocks;
  readonly removed?: readonly unknown[];
  readonly output?: Readonly<Record<string, { readonly value: unknown; readonly sensitive?: boolean }>>;
}

/** Writes the stacks to a temporary folder and reads them back, without cdktf's notes (`//`). */
export function synthesize(deployment: Deployment): Readonly<Record<string, StackJson>> {
  const home = mkdtempSync(join(tmpdir(), "sallyport-synth-"));
  try {
    const outDir = join(home, "terraform", "out");
    buildApp(deployment, { outDir, configDir: home }).synth();
    const manifest = JSON.parse(readFileSync(join(outDir, "manifest.json"), "utf8")) as {
      stacks: Record<string, { synthesizedStackPath: string }>;
    };
    return Object.fromEntries(
      Object.entries(manifest.stacks).map(([name, { synthesizedStackPath }]) => [
        name,
        JSON.parse(readFileSync(join(outDir, synthesizedStackPath), "utf8"), (key, value: unknown) =>
          key === "//" ? undefined : value,
        ) as StackJson,
      ]),
    );
  } finally {
    rmSync(home, { recursive: true });
  }
}
