import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { identitiesOf } from "../../../terraform/config/identities.ts";
import type { DeployedCluster, Deployment } from "../../../terraform/config/schema.ts";
import { namespaceOf, SERVICE_ACCOUNT_NAME } from "../../../terraform/manifests/names.ts";
import { readSubject } from "../../../worker/access/authenticate.ts";
import { type Identity, identify } from "../../../worker/policy/identify.ts";
import { type Access, recordStatement } from "../../break-glass/access.ts";
import { breakGlass as issueAccess, ordersOf, type Place, whoGives } from "../../break-glass/break-glass.ts";
import { OperatorError } from "../../deployment/operator-error.ts";
import { findCluster, readDeployment } from "../../deployment/project.ts";
import { projectFile } from "../../deployment/project-files.ts";
import { payloadOf } from "../../policy-explain/explain.ts";
import { kubectlProcess } from "../../ports/kubectl.ts";
import { wranglerDatabase, wranglerProcess } from "../../ports/wrangler.ts";
import { type CommandContext, defineCommand, UsageError } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { duration, flag, nameAndValue, oneOf, parsed, parsedTexts, requiredText, text, texts } from "../options.ts";
import { deploymentFile } from "../shared-options.ts";

export const breakGlass = defineCommand({
  options: {
    cluster: requiredText("NAME", "a cluster of the deployment file"),
    user: text("EMAIL", "the person, as Access knows them; the identity rules decide who that is in the cluster"),
    reason: text("TEXT", "kept in the cluster and shown by --list"),
    for: parsed("TIME", "how long the access lasts, 10m to 8h", duration, "1h"),
    group: texts("NAME", "a group of the identity provider that the person is in"),
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
  notes: `Asks nothing of Cloudflare, except with --enter.

Example: npx sallyport break-glass --cluster prod --user alice@example.com --reason "INC-17: Access is down"`,
  run: async (values, context) => {
    const deployment = readDeployment(values.config);
    const cluster = findCluster(deployment, values.cluster);
    const place = placeOf(values, deployment, cluster);
    if (values.list || values.enter) await listOrders(values, place, context);
    else await give(values, deployment, cluster, place, context);
    return EXIT_CODES.done;
  },
});

interface Flags {
  readonly user: string | undefined;
  readonly reason: string | undefined;
  readonly for: number;
  readonly group: readonly string[];
  readonly claim: readonly (readonly [name: string, value: string])[];
  readonly country: string | undefined;
  readonly posture: readonly string[];
  readonly method: Access["method"];
  readonly out: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

const ports = { kubectl: kubectlProcess(), now: Date.now, wait: (ms: number) => wait(ms) };

function placeOf(flags: Flags, deployment: Deployment, cluster: DeployedCluster): Place {
  const own = typeof cluster.kubeconfig === "object" ? cluster.kubeconfig : undefined;
  const path = flags.kubeconfig ?? own?.path;
  if (path === undefined)
    throw new OperatorError("name the cluster admin's --kubeconfig: the deployment file has none");
  const context = flags.context ?? (flags.kubeconfig === undefined ? own?.context : undefined);
  return {
    target: { path, context },
    namespace: namespaceOf(deployment, cluster),
    serviceAccount: SERVICE_ACCOUNT_NAME,
  };
}

/** As the Worker would have it, from what the admin says of the person: Access cannot be asked now. */
function identityOf(flags: Flags, deployment: Deployment, cluster: DeployedCluster): Identity {
  const { user: who = "", claim: claims, group: groups, posture, country } = flags;
  if (!who.includes("@")) throw new UsageError("--user must be a person's email address");
  const read = readSubject({ ...payloadOf({ who, claims, country }), sub: "break-glass" });
  if (!read.ok) throw new OperatorError(read.error.message);
  const identified = identify(read.value, { groups, posture }, identitiesOf(deployment, cluster));
  if (!identified.ok) throw new OperatorError(identified.error.message);
  return identified.value;
}

async function give(
  flags: Flags,
  deployment: Deployment,
  cluster: DeployedCluster,
  place: Place,
  { print }: CommandContext,
): Promise<void> {
  const identity = identityOf(flags, deployment, cluster);
  const file = flags.out ?? `break-glass-${cluster.name}.kubeconfig`;
  if (existsSync(file)) throw new OperatorError(`${file} is there already: name another --out`);
  const from = Date.now();
  const order: Access = {
    id: `bg${randomBytes(6).toString("hex")}`,
    cluster: cluster.name,
    identity,
    reason: flags.reason ?? "",
    by: await whoGives(place, ports),
    method: flags.method,
    from,
    until: from + flags.for,
  };
  const kubeconfig = await issueAccess(order, place, ports);
  writeFileSync(file, kubeconfig, { mode: 0o600, flag: "wx" });
  print(describeGift(order, file, place));
}

function describeGift({ id, cluster, identity, method, until }: Access, file: string, { namespace }: Place): string {
  const { user, groups } = identity;
  const inLog =
    method === "certificate"
      ? `user.username "${user}" without impersonatedUser (through Sallyport it is the other way round)`
      : `impersonatedUser.extra["sallyport-session"] "${id}"`;
  return `${file} is for ${user}, in the groups ${groups.join(", ") || "none"}, on ${cluster}, until ${new Date(until).toISOString()}.

  kubectl --kubeconfig ${file} get pods

It cannot be taken back before. Whoever has the file is ${method === "certificate" ? "this person" : "whomever the connector may be: keep it closer still"}.
None of Sallyport's limits and recordings apply to it.
On record: configmap/break-glass-${id} in the namespace ${namespace}. In the cluster's audit log:
  ${inLog}
When Cloudflare is back: npx sallyport break-glass --cluster ${cluster} --enter`;
}

async function listOrders(
  { enter }: { readonly enter: boolean },
  place: Place,
  { print }: CommandContext,
): Promise<void> {
  const orders = await ordersOf(place, ports);
  for (const { id, identity, from, until, method, by, reason } of orders) {
    const times = `${new Date(from).toISOString()} to ${new Date(until).toISOString()}`;
    print(`${id}  ${times}  ${identity.user}  ${method} by ${by}: ${reason}`);
  }
  if (orders.length === 0) print("Nothing was given.");
  if (!enter) return;
  const ask = wranglerDatabase(wranglerProcess(projectFile("terraform/out/wrangler.json")), "AUDIT_DB");
  for (const order of orders) await ask(recordStatement(order));
  print(`Entered in the record: ${orders.length}, in the table requests, rule "break-glass".`);
}
