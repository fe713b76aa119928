/**
 * Makes a first deployment file from what Cloudflare's API and the cluster say, so that no id is copied by
 * hand.
 */
import * as z from "zod";
import { parseJson } from "../../common/json.ts";
import type { DeploymentInput } from "../../terraform/config/schema.ts";
import { DEFAULT_API, possibleZones } from "../ports/cloudflare.ts";
import type { Http } from "../ports/http.ts";
import type { Kubectl, KubectlTarget } from "../ports/kubectl.ts";
import { OperatorError } from "./operator-error.ts";

export interface InitInput {
  readonly name: string;
  /** The first cluster's host name, of a zone in the account. */
  readonly hostname: string;
  /** The name of the cluster. */
  readonly cluster: string;
  /** The administrator's address. */
  readonly admin: string;
  /**
   * Access admits all addresses of this domain. Undefined: the administrator's address alone, whose domain
   * may be a mail provider's.
   */
  readonly emailDomain: string | undefined;
  /** The administrator's access to the cluster. Without a context: the current one, by its name. */
  readonly kubeconfig: KubectlTarget;
  readonly location: DeploymentInput["record"]["location"];
}

export interface InitDependencies {
  readonly http: Http;
  readonly kubectl: Kubectl;
  readonly token: string;
  readonly api?: string | undefined;
}

/** The group of the first administrator in the cluster. */
export const FIRST_GROUP = "sallyport-admins";

/** @throws OperatorError with what could not be found out, and what to do */
export async function draftDeployment(input: InitInput, dependencies: InitDependencies): Promise<DeploymentInput> {
  const account = await findAccount(input.hostname, dependencies);
  const teamDomain = await findTeamDomain(account, dependencies);
  const kubeconfig = await nameContext(input.kubeconfig, dependencies.kubectl);
  const apiServer = await findApiServer(kubeconfig, dependencies.kubectl);
  return {
    name: input.name,
    account,
    access: {
      teamDomain,
      allow: [input.emailDomain === undefined ? { email: input.admin } : { emailDomain: input.emailDomain }],
      admins: [{ email: input.admin }],
    },
    clusters: [
      {
        name: input.cluster,
        hostnames: [input.hostname],
        kubeconfig: { path: kubeconfig.path, ...(kubeconfig.context !== undefined && { context: kubeconfig.context }) },
        apiServer,
      },
    ],
    record: { location: input.location, retentionDays: 365 },
    sallyport: {
      identities: [{ match: { email: input.admin }, groups: [FIRST_GROUP], roles: ["admin"] }],
    },
  };
}

const envelope = z.object({ success: z.boolean(), result: z.unknown() });

async function ask<T>(
  path: string,
  schema: z.ZodType<T>,
  needs: string,
  { http, token, api = DEFAULT_API }: InitDependencies,
) {
  const { status, body } = await http({ url: `${api}/${path}`, headers: { authorization: `Bearer ${token}` } });
  // Where it is no JSON, the status says enough.
  const parsed = envelope.safeParse(parseJson(body));
  const result = parsed.data?.success ? schema.safeParse(parsed.data.result) : undefined;
  if (result?.success) return result.data;
  throw new OperatorError(
    `Cloudflare's API answered ${status} to ${path}: give CLOUDFLARE_API_TOKEN the permission ${needs} (docs/DEPLOY.md)`,
  );
}

const zones = z.array(z.object({ name: z.string(), account: z.object({ id: z.string() }) }));

/** The account of the host name's zone. */
async function findAccount(hostname: string, dependencies: InitDependencies): Promise<string> {
  for (const name of possibleZones(hostname)) {
    const [zone] = await ask(`zones?name=${name}`, zones, "Zone Read", dependencies);
    if (zone?.name === name) return zone.account.id;
  }
  throw new OperatorError(
    `no zone that the token sees has ${hostname}: add the domain to Cloudflare, or let the token read it`,
  );
}

async function findTeamDomain(account: string, dependencies: InitDependencies): Promise<string> {
  const permission = "Access: Organizations, Identity Providers, and Groups Read";
  const organization = z.object({ auth_domain: z.string().min(1) });
  const path = `accounts/${account}/access/organizations`;
  const { auth_domain } = await ask(path, organization, permission, dependencies);
  return `https://${auth_domain}`;
}

/**
 * With the current context's name written down, so that a later change of it does not apply to another
 * cluster.
 */
async function nameContext(target: KubectlTarget, kubectl: Kubectl): Promise<KubectlTarget> {
  if (target.context !== undefined) return target;
  const context = (await run(target, ["config", "current-context"], kubectl)).trim();
  return { ...target, context };
}

const slices = z.object({
  items: z.array(
    z.object({
      endpoints: z.array(z.object({ addresses: z.array(z.string()) })).nullish(),
      ports: z.array(z.object({ port: z.number() })).nullish(),
    }),
  ),
});
const service = z.object({ spec: z.object({ clusterIPs: z.array(z.string()).min(1) }) });

/** Where pods reach the API server: the endpoints of the Service kubernetes, and its own addresses. */
async function findApiServer(
  target: KubectlTarget,
  kubectl: Kubectl,
): Promise<DeploymentInput["clusters"][number]["apiServer"]> {
  const ofService = ["-n", "default", "-o", "json"];
  const listed = await run(
    target,
    ["get", "endpointslices", "-l", "kubernetes.io/service-name=kubernetes", ...ofService],
    kubectl,
  );
  const { items } = slices.parse(JSON.parse(listed));
  const addresses = items.flatMap(({ endpoints }) => (endpoints ?? []).flatMap((endpoint) => endpoint.addresses));
  const [port = 443] = items.flatMap(({ ports }) => (ports ?? []).map((each) => each.port));
  if (addresses.length === 0)
    throw new OperatorError("the Service default/kubernetes has no endpoints: is this the cluster?");
  const { clusterIPs } = service.parse(
    JSON.parse(await run(target, ["get", "service", "kubernetes", ...ofService], kubectl)),
  ).spec;
  return {
    cidrs: addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
    port,
    serviceIps: clusterIPs,
  };
}

async function run(target: KubectlTarget, args: readonly string[], kubectl: Kubectl): Promise<string> {
  const { code, stdout, stderr } = await kubectl(target, args);
  if (code === 0) return stdout;
  const said = code === 127 ? "kubectl is not installed" : (stderr.trim().split("\n").at(-1) ?? "no message");
  throw new OperatorError(`kubectl ${args[0]} failed for ${target.context ?? "the current context"}: ${said}`);
}

/** The file's text. */
export function formatDeployment(deployment: DeploymentInput): string {
  return `// Made by "npx sallyport init". docs/CONFIGURATION.md has every field. Unknown fields are errors.\n${JSON.stringify(deployment, null, 2)}\n`;
}
