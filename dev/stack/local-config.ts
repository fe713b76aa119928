/** The configuration document of the local stack. */
import { readFileSync } from "node:fs";
import { errorCode } from "../../common/errors.ts";
import { isJsonObject } from "../../common/json.ts";
import type { UpstreamTransport } from "../../contract/upstream.ts";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { PERSONAS } from "../access/personas.ts";
import { StackError } from "./errors.ts";

/**
 * What `--config FILE` may contain: every part of the document, but little of what belongs to the fake of
 * Access.
 */
export type ConfigOverrides = Partial<Omit<ConfigInput, "access">> & {
  readonly access?: Pick<ConfigInput["access"], (typeof ACCESS_FIELDS)[number]>;
};

/** What may be set although it belongs to Access. */
const ACCESS_FIELDS = ["managedOAuth"] as const;

export interface LocalFacts {
  readonly issuer: string;
  readonly audience: string;
  /** Audience tag of the application in front of the admin API. Default: it has none of its own. */
  readonly adminAudience?: string;
  /** Client id of the service token that the fake of Access knows. Default: none. */
  readonly serviceToken?: string;
  readonly cluster: string;
  /** See `SECOND`. */
  readonly hasSecond?: boolean;
  /** `host:port` of each cluster, by binding. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** Default `auto`. */
  readonly transport?: UpstreamTransport | undefined;
}

/** The binding of the first cluster. */
export const ONLY_BINDING = "KUBE_API";
/** The Kubernetes user of the fake's service token. */
const SERVICE_USER = "ci";
/** The second cluster: its name, its host name as the edge sees it, and its binding. */
export const SECOND = { name: "second", hostname: "second.localhost", binding: "KUBE_API_SECOND" } as const;

const DEVELOPERS = [{ claim: "custom.groups", value: "developers" }];
const APPROVERS = { roles: ["admin"] as "admin"[], users: [PERSONAS.bob.email] };

/**
 * What developers may ask for: a group that no role of the demo is bound to, and shells in pods that the demo
 * does not have. So nothing changes for whoever asks for nothing.
 */
const EXAMPLE_ACCESS: Pick<ConfigInput, "rules" | "grants"> = {
  rules: [
    {
      ...{ name: "vault-shell", match: { kinds: ["exec", "attach"], names: ["vault", "vault-*"] }, action: "allow" },
      approval: { grant: "vault-shell", waitMinutes: 5 },
    },
  ],
  grants: [
    { name: "prod-admin", for: DEVELOPERS, gives: { groups: ["prod-admins"] }, approvers: APPROVERS, maxMinutes: 120 },
    { name: "vault-shell", for: DEVELOPERS, gives: { rules: ["vault-shell"] }, approvers: APPROVERS },
  ],
};

/** The binding of a cluster's TCP connections, beside that of its requests. */
export function tcpBindingOf(binding: string): string {
  return `${binding}_TCP`;
}

/**
 * Builds the document and validates it with the edge's own loader.
 *
 * @param overrides each replaces a top-level key, except that objects such as `limits` are merged by field
 * @throws StackError with the loader's message
 */
export function buildLocalConfig(facts: LocalFacts, overrides: ConfigOverrides = {}): ConfigInput {
  const adminAudiences = facts.adminAudience === undefined ? undefined : [facts.adminAudience];
  const document: Record<string, unknown> = {
    access: {
      teamDomain: facts.issuer,
      audiences: [facts.audience, ...(adminAudiences ?? [])],
      ...(adminAudiences && { adminAudiences }),
    },
    ...(facts.hasSecond ? { clusters: twoClusters(facts.cluster) } : { cluster: facts.cluster }),
    identities: [
      // First, because the first match wins and the admin has no group claim.
      { match: { email: PERSONAS.admin.email }, groups: ["developers"], roles: ["admin"] },
      { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
      { match: { claim: "custom.groups", value: "viewers" }, groups: ["viewers"] },
      ...(facts.serviceToken === undefined
        ? []
        : [{ match: { serviceToken: facts.serviceToken }, user: SERVICE_USER, groups: ["developers"] }]),
    ],
    // A document with rules of its own need not have the one that the second grant names.
    ...(overrides.rules === undefined && overrides.grants === undefined && EXAMPLE_ACCESS),
    limits: {},
  };
  for (const [key, value] of Object.entries(overrides)) {
    const before = document[key];
    document[key] = isJsonObject(before) && isJsonObject(value) ? { ...before, ...value } : value;
  }
  const complete = withTransport(document, facts);
  try {
    loadConfig(complete);
  } catch (error) {
    if (error instanceof ConfigError) throw new StackError(error.message);
    throw error;
  }
  return complete as ConfigInput;
}

/**
 * Leads sessions to each cluster as the stack binds it, also to those that the overrides name. Where its
 * connections lead is the stack's to say: the document of a deployment names its sidecar.
 */
function withTransport(
  document: Record<string, unknown>,
  { transport = "auto", upstreams }: LocalFacts,
): Record<string, unknown> {
  const complete = (cluster: Record<string, unknown>, binding: string) => ({
    ...{ transport, tcpBinding: tcpBindingOf(binding), ...cluster },
    ...(upstreams[binding] !== undefined && { tcpAddress: upstreams[binding] }),
  });
  const { clusters } = document;
  if (clusters === undefined) return complete(document, ONLY_BINDING);
  const completeOne = (cluster: unknown) =>
    isJsonObject(cluster) ? complete(cluster, String(cluster["binding"])) : cluster;
  return { ...document, clusters: Array.isArray(clusters) ? clusters.map(completeOne) : clusters };
}

function twoClusters(first: string) {
  const { name, hostname, binding } = SECOND;
  return [
    { name: first, hostnames: ["127.0.0.1", "localhost"], binding: ONLY_BINDING },
    { name, hostnames: [hostname], binding },
  ];
}

/** Reads `--config FILE`. The values are validated later, as part of the whole document. */
export function readConfigOverrides(path: string): ConfigOverrides {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new StackError(`cannot read ${path} (${errorCode(error) ?? String(error)})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StackError(`${path} is not JSON`);
  }
  if (!isJsonObject(value))
    throw new StackError(`${path} must hold a JSON object, for example {"limits": {"maxSessionsPerUser": 2}}`);
  if ("access" in value && !isSettableAccess(value["access"]))
    throw new StackError(
      `${path}: of "access" only ${ACCESS_FIELDS.join(", ")} can be set here: the rest belongs to the local Access fake`,
    );
  return value;
}

function isSettableAccess(access: unknown): boolean {
  const fields = isJsonObject(access) ? Object.keys(access) : [];
  return fields.length > 0 && fields.every((field) => ACCESS_FIELDS.some((name) => name === field));
}
