/**
 * `npm run break-glass`: a way into a cluster while Cloudflare or the Worker is down, under the same names.
 *
 *   npm run break-glass -- --cluster prod --user alice@example.com --reason "INC-17: Access is down"
 *   npm run break-glass -- --cluster prod --list
 *   npm run break-glass -- --cluster prod --enter        afterwards: into the record
 *
 * Asks nothing of Cloudflare but with --enter. Exit code 0, 1 where something failed, 2 for a mistake in the command.
 */
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { identitiesOf } from "../terraform/config/identities.ts";
import type { DeployedCluster, Deployment } from "../terraform/config/schema.ts";
import { namespaceOf, SERVICE_ACCOUNT_NAME } from "../terraform/manifests/names.ts";
import { readSubject } from "../worker/access/authenticate.ts";
import { type Identity, identify } from "../worker/policy/identify.ts";
import { type Access, recordStatement } from "./break-glass/access.ts";
import { breakGlass, ordersOf, type Place, whoGives } from "./break-glass/break-glass.ts";
import { parseDuration } from "./deploy/drain.ts";
import { runCommand } from "./deployment/command.ts";
import { OperatorError } from "./deployment/operator-error.ts";
import { OUT, PROJECT, readDeployment } from "./deployment/project.ts";
import { payloadOf } from "./explain.ts";
import { kubectlProcess } from "./ports/kubectl.ts";
import { wranglerDatabase, wranglerProcess } from "./ports/wrangler.ts";

const USAGE = `Usage: npm run break-glass -- --cluster NAME --user EMAIL --reason WORDS [options]

  --cluster NAME      as in the deployment file
  --user EMAIL        who is to get in, as Access knows them; the identity rules say who that is in the cluster
  --reason WORDS      kept in the cluster, and shown by --list
  --for TIME          how long it lasts, 10m to 8h. Default: 1h
  --group NAME        a group of the identity provider that they are in; may be given several times
  --claim NAME=VALUE  a claim that their token would have; may be given several times
  --country CODE, --posture NAME   where an identity rule asks for them
  --method NAME       certificate (default): one of the cluster's authority, good for nobody else;
                      token: of the connector's account, where the cluster signs no client certificates
  --out FILE          the kubeconfig to write; it must not be there. Default: break-glass-CLUSTER.kubeconfig
  --list              what was given on the cluster
  --enter             enters that in the record (D1), through wrangler. Twice is once
  --config FILE       the deployment file. Default: deployment.jsonc
  --kubeconfig FILE, --context NAME   the cluster admin's own access. Default: the deployment file's
`;

function readFlags() {
  const { values } = parseArgs({
    options: {
      cluster: { type: "string" },
      user: { type: "string" },
      reason: { type: "string" },
      for: { type: "string", default: "1h" },
      group: { type: "string", multiple: true, default: [] },
      claim: { type: "string", multiple: true, default: [] },
      country: { type: "string" },
      posture: { type: "string", multiple: true, default: [] },
      method: { type: "string", default: "certificate" },
      out: { type: "string" },
      list: { type: "boolean", default: false },
      enter: { type: "boolean", default: false },
      config: { type: "string" },
      kubeconfig: { type: "string" },
      context: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { cluster, method } = values;
  const duration = parseDuration(values.for);
  if (values.help) return { ...values, cluster: "", method: "certificate" as Access["method"], duration: 0 };
  if (cluster === undefined) throw new TypeError("--cluster is missing");
  if (method !== "certificate" && method !== "token") throw new TypeError("--method is certificate or token");
  if (duration === undefined) throw new TypeError("--for must look like 30m or 2h");
  return { ...values, cluster, method: method as Access["method"], duration };
}
type Flags = ReturnType<typeof readFlags>;

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
  const { user: who = "", claim, group: groups, posture, country } = flags;
  const claims = claim.map((each): [string, string] => {
    const at = each.indexOf("=");
    if (at < 1) throw new OperatorError(`--claim ${each} must look like NAME=VALUE`);
    return [each.slice(0, at), each.slice(at + 1)];
  });
  if (!who.includes("@")) throw new OperatorError("--user must be a person's email address");
  const read = readSubject({ ...payloadOf({ who, claims, country }), sub: "break-glass" }, "");
  if (!read.ok) throw new OperatorError(read.refusal.message);
  const identified = identify(read.subject, { groups, posture }, identitiesOf(deployment, cluster));
  if (!identified.ok) throw new OperatorError(identified.refusal.message);
  return identified.identity;
}

async function give(flags: Flags, deployment: Deployment, cluster: DeployedCluster, place: Place): Promise<void> {
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
    until: from + flags.duration,
  };
  const text = await breakGlass(order, place, ports);
  writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  console.log(describeGift(order, file, place));
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
When Cloudflare is back: npm run break-glass -- --cluster ${cluster} --enter`;
}

async function run(flags: Flags): Promise<void> {
  const deployment = readDeployment(flags.config);
  const cluster = deployment.clusters.find(({ name }) => name === flags.cluster);
  if (!cluster) {
    const names = deployment.clusters.map(({ name }) => name).join(", ");
    throw new OperatorError(`there is no cluster ${flags.cluster} in the deployment file, but ${names}`);
  }
  const place = placeOf(flags, deployment, cluster);
  if (!flags.list && !flags.enter) return give(flags, deployment, cluster, place);
  const orders = await ordersOf(place, ports);
  for (const { id, identity, from, until, method, by, reason } of orders) {
    const times = `${new Date(from).toISOString()} to ${new Date(until).toISOString()}`;
    console.log(`${id}  ${times}  ${identity.user}  ${method} by ${by}: ${reason}`);
  }
  if (orders.length === 0) console.log("Nothing was given.");
  if (!flags.enter) return;
  const ask = wranglerDatabase(wranglerProcess(join(PROJECT, OUT, "wrangler.json")), "AUDIT_DB");
  for (const order of orders) await ask(recordStatement(order));
  console.log(`Entered in the record: ${orders.length}, in the table requests, rule "break-glass".`);
}

await runCommand({ name: "break-glass", usage: USAGE, read: readFlags, run });
