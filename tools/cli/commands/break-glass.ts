import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import {
  duration,
  flag,
  nameAndValue,
  oneOf,
  parsed,
  parsedTexts,
  requiredText,
  text,
  texts,
} from "../../../command-line/options.ts";
import { maskControlCharacters, stripControlCharacters } from "../../../common/text.ts";
import type { DeployedCluster, Deployment } from "../../../terraform/config/schema.ts";
import { namespaceOf, SERVICE_ACCOUNT_NAME } from "../../../terraform/manifests/names.ts";
import { auditLogStatement, type Grant } from "../../break-glass/grant.ts";
import { identifyPerson } from "../../break-glass/identify-person.ts";
import { type AdminAccess, administratorOf, issueGrant, listGrants } from "../../break-glass/issue-grant.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { findCluster, readDeployment } from "../../deployment/project.ts";
import { deployedConfiguration } from "../../deployment/project-files.ts";
import { kubectlProcess } from "../../ports/kubectl.ts";
import { wranglerDatabase, wranglerProcess } from "../../ports/wrangler.ts";
import { type CommandContext, defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { deploymentFile } from "../shared-options.ts";

export const breakGlass = defineCommand({
  options: {
    cluster: requiredText("NAME", "a cluster of the deployment file"),
    user: text("EMAIL", "the person, as Access knows them; the identity rules decide who that is in the cluster"),
    reason: text("TEXT", "kept in the cluster and shown by --list"),
    for: parsed("TIME", "how long the access lasts, 10m to 8h", duration, "1h"),
    group: texts("ID", "a group of the identity provider that the person is in, by its id"),
    "group-name": texts("NAME", "the same by its name, where an identity rule has groupName"),
    claim: parsedTexts("NAME=VALUE", "a claim that the person's token would have", nameAndValue),
    country: text("CODE", "country, where an identity rule asks for it"),
    posture: texts("NAME", "a device posture check, where an identity rule asks for it"),
    method: parsed(
      "METHOD",
      "certificate: signed by the cluster, valid for this person alone; token: of the connector's account, for " +
        "clusters that sign no client certificates",
      oneOf("certificate", "token"),
      "certificate",
    ),
    out: text("FILE", "kubeconfig to write, which must not exist; without it, break-glass-CLUSTER.kubeconfig"),
    list: flag("list the access that was given on the cluster, and give none"),
    enter: flag("list it and write it to the audit log (D1) through wrangler; repeating this adds nothing"),
    config: deploymentFile,
    kubeconfig: text("FILE", "the cluster administrator's kubeconfig; without it, that of the deployment file"),
    context: text("NAME", "context in that kubeconfig"),
  },
  notes: [
    "It needs Cloudflare only with --enter.",
    'Example: npx sallyport break-glass --cluster prod --user alice@example.com --reason "INC-17: Access is down"',
  ],
  run: async (values, context) => {
    const deployment = readDeployment(values.config);
    const cluster = findCluster(deployment, values.cluster);
    const access = adminAccess(values, deployment, cluster);
    if (values.list || values.enter) await showGrants(cluster.name, access, values, context);
    else await give({ ...values, deployment, cluster, access }, context);
    return EXIT_CODES.done;
  },
});

const dependencies = { kubectl: kubectlProcess(), now: Date.now, wait: (ms: number) => wait(ms) };

function adminAccess(
  { kubeconfig, context }: { readonly kubeconfig: string | undefined; readonly context: string | undefined },
  deployment: Deployment,
  cluster: DeployedCluster,
): AdminAccess {
  const own = typeof cluster.kubeconfig === "object" ? cluster.kubeconfig : undefined;
  const path = kubeconfig ?? own?.path;
  if (path === undefined) {
    throw new OperatorError("the deployment file names no kubeconfig for this cluster: give --kubeconfig");
  }
  return {
    target: { path, context: context ?? (kubeconfig === undefined ? own?.context : undefined) },
    namespace: namespaceOf(deployment, cluster),
    serviceAccount: SERVICE_ACCOUNT_NAME,
  };
}

interface GiveOptions {
  readonly deployment: Deployment;
  readonly cluster: DeployedCluster;
  readonly access: AdminAccess;
  readonly user: string | undefined;
  readonly reason: string | undefined;
  readonly for: number;
  readonly group: readonly string[];
  readonly "group-name": readonly string[];
  readonly claim: readonly (readonly [name: string, value: string])[];
  readonly country: string | undefined;
  readonly posture: readonly string[];
  readonly method: Grant["method"];
  readonly out: string | undefined;
}

async function give(options: GiveOptions, { print }: CommandContext): Promise<void> {
  const { deployment, cluster, access, user, group: groups, claim: claims, country, posture } = options;
  if (!user?.includes("@")) throw new UsageError("--user must be a person's email address");
  const person = { who: user, claims, groups, groupNames: options["group-name"], country, posture };
  const identity = identifyPerson(person, deployment, cluster);
  if (!identity.ok) throw new OperatorError(identity.error.message);
  const file = options.out ?? `break-glass-${cluster.name}.kubeconfig`;
  if (existsSync(file)) throw new OperatorError(`${file} exists: choose another --out`);
  const from = Date.now();
  const grant: Grant = {
    id: `bg${randomBytes(6).toString("hex")}`,
    cluster: cluster.name,
    identity: identity.value,
    reason: options.reason ?? "",
    by: await administratorOf(access, dependencies),
    method: options.method,
    from,
    until: from + options.for,
  };
  const kubeconfig = await issueGrant(grant, access, dependencies);
  writeFileSync(file, kubeconfig, { mode: 0o600, flag: "wx" });
  print(describeGrant(grant, file, access));
}

function describeGrant({ id, cluster, identity, method, until }: Grant, file: string, { namespace }: AdminAccess) {
  const { user, groups } = identity;
  const holder =
    method === "certificate"
      ? "whoever has the file is this person"
      : "whoever has the file can be everybody that the identity rules name: keep it especially safe";
  const inAuditLog =
    method === "certificate"
      ? `user.username "${user}" without impersonatedUser (Sallyport's requests have it the other way round)`
      : `impersonatedUser.extra["sallyport-session"] "${id}"`;
  return `${file} gives ${user} access to ${cluster} until ${new Date(until).toISOString()}, with the groups ${groups.join(", ") || "(none)"}.

  kubectl --kubeconfig ${file} get pods

It cannot be revoked before, and ${holder}. Sallyport's limits and recordings do not apply to it.
It is stored as configmap/break-glass-${id} in the namespace ${namespace}. The cluster's audit log shows it by
  ${inAuditLog}
When Cloudflare is back: npx sallyport break-glass --cluster ${cluster} --enter`;
}

async function showGrants(
  cluster: string,
  access: AdminAccess,
  { enter }: { readonly enter: boolean },
  { print }: CommandContext,
): Promise<void> {
  const { grants, rejected } = await listGrants(cluster, access, dependencies);
  for (const { id, identity, from, until, method, by, reason } of grants) {
    const times = `${new Date(from).toISOString()} to ${new Date(until).toISOString()}`;
    print(stripControlCharacters(`${id}  ${times}  ${identity.user}  ${method} by ${by}: ${reason}`));
  }
  for (const { name, why } of rejected) {
    print(`not verified: configmap/${maskControlCharacters(name)}: ${why}. The cluster's audit log says who wrote it.`);
  }
  if (grants.length === 0) print("No access was given.");
  if (!enter) return;
  const query = wranglerDatabase(wranglerProcess(deployedConfiguration()), "AUDIT_DB");
  for (const grant of grants) await query(auditLogStatement(grant));
  print(`Entered in the audit log: ${grants.length}, in requests, rule "break-glass".`);
}
