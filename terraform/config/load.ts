/** Reads and validates the deployment file. */
import { readFileSync } from "node:fs";
import { getNodeValue, type Node, type ParseError, parseTree, printParseErrorCode } from "jsonc-parser";
import * as z from "zod";
import { findGroupNames } from "../../worker/config/group-ids.ts";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";
import { describeReservedName, isReservedName } from "../../worker/config/reserved-names.ts";
import { identitiesOf, impersonatedIn, openUsers } from "./identities.ts";
import type { DocumentOutputs } from "./outputs.ts";
import { type DeployedCluster, type Deployment, deploymentSchema } from "./schema.ts";
import { allHostnamesOf, serviceTokenNames } from "./service-tokens.ts";
import { mayUseTcp, workerDocument } from "./worker-document.ts";

/** The default deployment file, from the project's top. */
export const DEFAULT_DEPLOYMENT_FILE = "deployment.jsonc";

/** The deployment file cannot be used. The message names the file and the place of every fault. */
export class DeploymentError extends Error {
  override readonly name = "DeploymentError";
}

/**
 * Reads the deployment file.
 *
 * @param warn is told what is allowed, but should be intended
 * @throws DeploymentError
 */
export function loadDeployment(path: string, warn: (message: string) => void = () => {}): Deployment {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    throw new DeploymentError(`cannot read ${path} (${code}): copy terraform/deployment.example.jsonc to begin with`);
  }
  return parseDeployment(text, path, warn);
}

/** The same for a text. @param source its name, for messages */
export function parseDeployment(text: string, source: string, warn: (message: string) => void = () => {}): Deployment {
  const refuse = (faults: readonly string[]) =>
    new DeploymentError(`${source} is not valid:\n${faults.map((fault) => `✖ ${fault}`).join("\n")}`);
  const parsed = parseJsonc(text);
  if ("faults" in parsed) throw refuse(parsed.faults);
  const result = deploymentSchema.safeParse(parsed.value);
  if (!result.success) throw new DeploymentError(`${source} is not valid:\n${z.prettifyError(result.error)}`);
  const deployment = result.data;
  const faults = contradictions(deployment);
  if (faults.length > 0) throw refuse(faults);
  try {
    loadConfig(workerDocument(deployment, placeholderOutputs(deployment)), (reserved) =>
      warn(describeReservedName(reserved)),
    );
  } catch (error) {
    if (error instanceof ConfigError)
      throw new DeploymentError(`${source} gives a configuration that the Worker refuses:\n${error.message}`);
    throw error;
  }
  for (const message of notable(deployment)) warn(message);
  return deployment;
}

/** JSON with comments and trailing commas. A repeated key is an error: one of the two would be ignored. */
function parseJsonc(text: string): { readonly value: unknown } | { readonly faults: readonly string[] } {
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  const faults = errors.map(({ error, offset }) => `${printParseErrorCode(error)} at ${positionOf(text, offset)}`);
  if (!root || faults.length > 0) return { faults: faults.length > 0 ? faults : ["it is empty"] };
  const twice = duplicates(root).map(
    ({ value, offset }) => `the key ${String(value)} is repeated at ${positionOf(text, offset)}`,
  );
  return twice.length > 0 ? { faults: twice } : { value: getNodeValue(root) };
}

function duplicates(node: Node): Node[] {
  const own =
    node.type === "object" ? (node.children ?? []).flatMap(({ children: [key] = [] }) => (key ? [key] : [])) : [];
  const again = own.filter(({ value }, index) => own.findIndex((other) => other.value === value) < index);
  return [...again, ...(node.children ?? []).flatMap(duplicates)];
}

function positionOf(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/** Faults between fields, which no field's schema sees. */
function contradictions(deployment: Deployment): string[] {
  const { access, clusters, demo, sallyport } = deployment;
  const tokens = serviceTokenNames(deployment);
  const names = new Set(tokens);
  const faults = [
    ...repeated(tokens).map((name) => `access.serviceTokens repeats ${name}`),
    // The Worker's loader would find these two as well, but name the fields of another document.
    ...repeated(clusters.map(({ name }) => name)).map((name) => `two clusters have the name ${name}`),
    ...repeated(clusters.flatMap((cluster) => allHostnamesOf(deployment, cluster))).map(
      (name) => `two clusters have the host name ${name}`,
    ),
    // Their VPC services would have one name.
    ...clusters
      .filter((cluster) => mayUseTcp(cluster) && clusters.some(({ name }) => name === `${cluster.name}-tcp`))
      .map(({ name }) => `the clusters ${name} and ${name}-tcp have similar names: rename one`),
    ...(["allow", "admins", "auditors"] as const).flatMap((list) =>
      access[list].flatMap((who, index) =>
        "serviceToken" in who && !names.has(who.serviceToken)
          ? [
              `access.${list}[${index}] names the service token ${who.serviceToken}, which is not in access.serviceTokens`,
            ]
          : [],
      ),
    ),
    ...namelessTokens("sallyport", sallyport.identities, names),
    ...clusters.flatMap((cluster, index) => namelessTokens(`clusters[${index}]`, cluster.identities ?? [], names)),
    ...clusters.flatMap((cluster, index) => unlimited(`clusters[${index}]`, deployment, cluster)),
  ];
  const ofDemo = clusters.filter(({ kubeconfig }) => kubeconfig === "demo");
  if (ofDemo.length > 0 && demo === null)
    faults.push(`the cluster ${ofDemo[0]?.name} has the kubeconfig "demo", but demo is null`);
  if (ofDemo.length > 1) faults.push('two clusters have the kubeconfig "demo", but there is one demo cluster');
  return faults;
}

/**
 * A service token has no client id before Terraform creates it, so the default user name cannot be in a
 * ClusterRole.
 */
function namelessTokens(
  field: string,
  rules: Deployment["sallyport"]["identities"],
  names: ReadonlySet<string>,
): string[] {
  return rules.flatMap(({ match, user }, index) =>
    match.serviceToken !== undefined &&
    names.has(match.serviceToken) &&
    (user === undefined || user.includes("{common_name}"))
      ? [
          `${field}.identities[${index}] needs a "user": the service token ${match.serviceToken} has no client id before Terraform creates it`,
        ]
      : [],
  );
}

/** Identities for which the connector's role would allow too much. */
function unlimited(field: string, deployment: Deployment, cluster: DeployedCluster): string[] {
  const rules = identitiesOf(deployment, cluster);
  const { groups, users } = impersonatedIn(deployment, cluster);
  const faults: string[] = [];
  if (groups.includes("system:masters")) {
    faults.push(
      `${field} gives the group system:masters, which RBAC cannot restrict: bind cluster-admin to a group of your own instead`,
    );
  }
  for (const user of users === "any" ? [] : users) {
    // Kubernetes checks these as `serviceaccounts` of a namespace, and a ClusterRole would allow the name in
    // every namespace.
    if (user.startsWith("system:serviceaccount:")) {
      faults.push(`${field} gives the user ${user}: give another user name or a group, and bind the roles to that`);
    }
    if (user === "system:masters") faults.push(`${field} names system:masters as a user, but it is a group`);
  }
  const open = openUsers(rules);
  if (open.length > 0 && cluster.impersonate === undefined) {
    const where = cluster.identities === undefined ? "sallyport" : field;
    faults.push(
      `${field}: ${where}.identities[${open.join("], [")}] make user names from the token, which RBAC cannot enumerate. ` +
        `Give them a fixed "user", list the names in "impersonate": {"users": […]}, or write "any" there ` +
        `and read "What the connector may be" in docs/DEPLOY.md`,
    );
  }
  return faults;
}

/** What the file allows, and the operator should intend. */
function notable(deployment: Deployment): string[] {
  return [
    ...groupNames(deployment),
    ...deployment.clusters.flatMap((cluster) => wideImpersonation(deployment, cluster)),
  ];
}

/** Only where Access tells ids and names apart. A claim has one text for each group. */
function groupNames({ access, sallyport, clusters }: Deployment): string[] {
  if (!("getIdentity" in access.groups)) return [];
  const lists = [
    { place: "sallyport.identities", identities: sallyport.identities },
    ...clusters.map(({ identities = [] }, index) => ({ place: `clusters[${index}].identities`, identities })),
    ...(sallyport.grants ?? []).map(({ for: matches }, index) => ({
      place: `sallyport.grants[${index}].for`,
      identities: matches.map((match) => ({ match })),
    })),
    ...(sallyport.grants ?? []).map(({ approvers: { groups = [] } }, index) => ({
      place: `sallyport.grants[${index}].approvers.groups`,
      identities: groups.map((group) => ({ match: { group } })),
    })),
  ];
  return lists.flatMap(({ place, identities }) => findGroupNames(place, identities));
}

function wideImpersonation(deployment: Deployment, cluster: DeployedCluster): string[] {
  const { groups, users } = impersonatedIn(deployment, cluster);
  const messages: string[] = [];
  if (users === "any") {
    messages.push(
      `cluster ${cluster.name}: its connector may impersonate any user, system:kube-controller-manager included; ` +
        `list the users in impersonate.users to prevent that`,
    );
  }
  for (const name of [...groups, ...(users === "any" ? [] : users)].filter(isReservedName)) {
    messages.push(`cluster ${cluster.name}: its connector may impersonate ${name}, a name reserved by Kubernetes`);
  }
  return messages;
}

/** Placeholders for outputs, so that the Worker's loader can validate the rest. */
function placeholderOutputs(deployment: Deployment): DocumentOutputs {
  const { clusters } = deployment;
  const clientIds = serviceTokenNames(deployment).map((name) => [name, `${name}.access`] as const);
  return {
    access_audience: "not-applied-yet",
    admin_audience: "not-applied-yet-admin",
    vpc_tcp_service_ids: Object.fromEntries(clusters.filter(mayUseTcp).map(({ name }) => [name, "not-applied-yet"])),
    service_token_client_ids: Object.fromEntries(clientIds),
  };
}

function repeated(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, index) => names.indexOf(name) < index))];
}
