/** A deployment for tests: a file as an operator writes it, and outputs as Terraform prints them. */
import { parseDeployment } from "../../terraform/config/load.ts";
import { parseOutputs } from "../../tools/deployment/outputs.ts";
import type { Plan } from "../../tools/deployment/plan.ts";
import { planOf } from "../../tools/deployment/project.ts";

const hex = (seed: number, length: number) =>
  Array.from({ length }, (_, index) => ((seed * (index + 7) * 2654435761) >>> 11) % 16)
    .map((digit) => digit.toString(16))
    .join("");
const uuid = (seed: number) => hex(seed, 32).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

export const ACCOUNT = hex(3, 32);
export const HOSTNAME = "prod.k8s.acme.test";
export const TEAM_DOMAIN = "https://acme.cloudflareaccess.com";
export const AUDIENCE = hex(5, 64);
export const ADMIN_AUDIENCE = hex(9, 64);
export const DATABASE_ID = uuid(11);
export const TUNNEL_ID = uuid(13);
export const VPC_SERVICE_ID = uuid(17);
export const VPC_TCP_SERVICE_ID = uuid(23);

/** The only cluster. */
export const CLUSTER = {
  name: "prod",
  hostnames: [HOSTNAME],
  kubeconfig: { path: "/nowhere/kubeconfig", context: "prod" },
  apiServer: { cidrs: ["10.0.0.1/32"], serviceIps: ["10.96.0.1"] },
};

/** The deployment file's text, with a comment. */
export function deploymentText(more: Readonly<Record<string, unknown>> = {}): string {
  const deployment = {
    name: "sallyport",
    account: ACCOUNT,
    access: {
      teamDomain: TEAM_DOMAIN,
      allow: [{ emailDomain: "acme.test" }, { serviceToken: "ci" }],
      admins: [{ email: "root@acme.test" }],
      serviceTokens: ["ci"],
      // With hosts of their own, tests of one host name would have two.
      serviceTokenHosts: "shared",
    },
    clusters: [CLUSTER],
    record: { location: "weur", retentionDays: 365 },
    sallyport: {
      identities: [
        { match: { email: "alice@acme.test" }, groups: ["developers"] },
        {
          ...{ match: { email: "root@acme.test" }, groups: ["sre"], roles: ["admin"] },
          mayImpersonate: { users: ["trainee"], groups: ["viewers"] },
        },
        { match: { serviceToken: "ci" }, user: "ci-deployer", groups: ["developers"] },
      ],
      grants: [
        {
          ...{ name: "prod-admin", for: [{ email: "alice@acme.test" }], gives: { groups: ["prod-admins"] } },
          approvers: { users: ["root@acme.test"] },
        },
      ],
    },
    ...more,
  };
  return `// A deployment of the tests.\n${JSON.stringify(deployment, null, 2)}\n`;
}

/** What `terraform output -json` prints for it. */
export function outputsText(more: Readonly<Record<string, unknown>> = {}): string {
  const values = {
    deployment: "sallyport",
    account_id: ACCOUNT,
    audit_database_id: DATABASE_ID,
    audit_database_name: "sallyport-audit",
    recordings_bucket: "sallyport-recordings",
    access_audience: AUDIENCE,
    admin_audience: ADMIN_AUDIENCE,
    team_domain: TEAM_DOMAIN,
    vpc_service_ids: { prod: VPC_SERVICE_ID },
    vpc_tcp_service_ids: { prod: VPC_TCP_SERVICE_ID },
    tunnel_ids: { prod: TUNNEL_ID },
    service_token_client_ids: { ci: `${hex(19, 32)}.access` },
    // Of an earlier version's stack. It is nobody's to read.
    tunnel_tokens: { prod: "a-tunnel-token-that-nobody-may-see" },
    ...more,
  };
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  const outputs = present.map(([name, value]) => [
    name,
    { sensitive: name === "tunnel_tokens", type: "dynamic", value },
  ]);
  return JSON.stringify(Object.fromEntries(outputs), null, 2);
}

/** The plan of both. */
export function testPlan(
  deployment: Readonly<Record<string, unknown>> = {},
  outputs: Readonly<Record<string, unknown>> = {},
): Plan {
  const file = parseDeployment(deploymentText(deployment), "deployment.jsonc");
  return planOf(file, parseOutputs(outputsText(outputs), "outputs"));
}
