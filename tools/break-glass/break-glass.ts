/** Gives somebody a way into a cluster past Cloudflare, under the names that Sallyport gives them, and writes it down first. */
import * as z from "zod";
import { OperatorError } from "../deployment/operator-error.ts";
import { isAtLeast } from "../doctor/version.ts";
import type { Kubectl, KubectlTarget } from "../ports/kubectl.ts";
import {
  type Access,
  type ClusterAddress,
  type Credential,
  kubeconfig,
  LABEL,
  LEAST_MS,
  MOST_MS,
  readRecordObject,
  recordObject,
  tooLong,
} from "./access.ts";
import { makeRequest, readCertificate, requestObject } from "./certificate.ts";

export interface BreakGlassDependencies {
  readonly kubectl: Kubectl;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** Where the order is carried out: with the cluster admin's own access. */
export interface Place {
  readonly target: KubectlTarget;
  /** Of the connector, in the cluster. */
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Before it the API server ignores how long a certificate was asked for, and signs for a year. */
const LEAST_FOR_CERTIFICATES = "1.22";
const CERTIFICATE_PATIENCE_MS = 30_000;
const POLL_MS = 500;

/** @returns the text of a kubeconfig. @throws OperatorError; then nobody has anything */
export async function breakGlass(order: Access, place: Place, ports: BreakGlassDependencies): Promise<string> {
  const lasts = order.until - order.from;
  if (lasts < LEAST_MS || lasts > MOST_MS)
    throw new OperatorError("--for must be from 10m to 8h: it cannot be taken back");
  if (order.reason.trim() === "") throw new OperatorError("--reason must say why: it is what people will ask");
  const reserved = [order.identity.user, ...order.identity.groups].find((name) => name === "system:masters");
  if (reserved !== undefined) throw new OperatorError("system:masters is given to nobody: RBAC never refuses it");
  const run = runner(place.target, ports.kubectl);
  const address = await readAddress(run);
  if (order.method === "certificate") await refuseOldCluster(run);
  // The record comes first: a credential that nobody wrote down is not given.
  await run(["create", "-f", "-"], JSON.stringify(recordObject(order, place.namespace)));
  const credential = order.method === "certificate" ? await certify(order, run, ports) : await mint(order, place, run);
  return kubeconfig(order, address, credential);
}

type Run = (args: readonly string[], input?: string) => Promise<string>;

function runner(target: KubectlTarget, kubectl: Kubectl): Run {
  return async (args, input) => {
    const { code, stdout, stderr } = await kubectl(target, args, input);
    if (code === 127) throw new OperatorError("there is no kubectl here: install it, or name it in KUBECTL");
    if (code !== 0) {
      const words = stderr.trim().split("\n").at(-1) ?? "";
      throw new OperatorError(`kubectl ${args.slice(0, 2).join(" ")}: ${words}`);
    }
    return stdout;
  };
}

const view = z.object({
  clusters: z.tuple([
    z.object({
      cluster: z.object({
        server: z.string(),
        "certificate-authority-data": z.string().optional(),
        "insecure-skip-tls-verify": z.boolean().optional(),
      }),
    }),
  ]),
});

/** The cluster's address and authority, and nothing of the admin's own credential. */
async function readAddress(run: Run): Promise<ClusterAddress> {
  const { cluster } = view.parse(
    JSON.parse(await run(["config", "view", "--minify", "--flatten", "--raw", "-o", "json"])),
  ).clusters[0];
  if (cluster["insecure-skip-tls-verify"]) {
    throw new OperatorError(
      "this kubeconfig does not verify the API server: give the emergency one a certificate authority",
    );
  }
  return { server: cluster.server, certificateAuthority: cluster["certificate-authority-data"] };
}

async function refuseOldCluster(run: Run): Promise<void> {
  const { gitVersion } = z
    .object({ gitVersion: z.string() })
    .parse(JSON.parse(await run(["get", "--raw", "/version"])));
  if (!isAtLeast(gitVersion, LEAST_FOR_CERTIFICATES)) {
    throw new OperatorError(
      `the cluster is ${gitVersion}, which would make a certificate for a year: use --method token`,
    );
  }
}

async function certify(order: Access, run: Run, ports: BreakGlassDependencies): Promise<Credential> {
  const { key, request } = await makeRequest(order);
  const name = `break-glass-${order.id}`;
  await run(["create", "-f", "-"], JSON.stringify(requestObject(order, request)));
  await run(["certificate", "approve", name]);
  const began = ports.now();
  for (;;) {
    const encoded = await run(["get", "csr", name, "-o", "jsonpath={.status.certificate}"]);
    if (encoded !== "") return judge(order, Buffer.from(encoded, "base64").toString(), key);
    if (ports.now() - began > CERTIFICATE_PATIENCE_MS) {
      throw new OperatorError(
        "the cluster signs no client certificates (Amazon EKS, for one, does not): use --method token",
      );
    }
    await ports.wait(POLL_MS);
  }
}

/** The key leaves this process only with a certificate that is what was ordered. */
function judge(order: Access, certificate: string, key: string): Credential {
  const { notAfter, user, groups } = readCertificate(certificate);
  const fault = tooLong(order, notAfter);
  if (fault !== undefined)
    throw new OperatorError(`the certificate ${fault}: its key is thrown away, use --method token`);
  const wanted = new Set(order.identity.groups);
  const isOrdered = groups.length === order.identity.groups.length && groups.every((group) => wanted.has(group));
  if (user !== order.identity.user || !isOrdered) {
    throw new OperatorError("the certificate is for other names than were asked for: its key is thrown away");
  }
  return { certificate, key };
}

/** The connector's own account, which may be whom the rules name and nobody else. */
async function mint(order: Access, { namespace, serviceAccount }: Place, run: Run): Promise<Credential> {
  const seconds = Math.round((order.until - order.from) / 1000);
  const token = (await run(["create", "token", serviceAccount, "-n", namespace, `--duration=${seconds}s`])).trim();
  const fault = tooLong(order, expiryOf(token));
  if (fault !== undefined) throw new OperatorError(`the token ${fault}: it is thrown away`);
  return { token };
}

function expiryOf(token: string): number {
  const payload = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp?: unknown };
  if (typeof payload.exp !== "number") throw new OperatorError("the token has no end: it is thrown away");
  return payload.exp * 1000;
}

/** Who the cluster says that the admin is; older ones have no words for it (before Kubernetes 1.28). */
export async function whoGives(
  { target }: Pick<Place, "target">,
  { kubectl }: Pick<BreakGlassDependencies, "kubectl">,
): Promise<string> {
  const { code, stdout } = await kubectl(target, ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
  return code === 0 && stdout !== "" ? stdout : "unknown, see the cluster's audit log";
}

const recordList = z.object({ items: z.array(z.object({ data: z.record(z.string(), z.string()).default({}) })) });

/** All that was ever given on a cluster and not taken away, oldest first. */
export async function ordersOf(place: Place, { kubectl }: Pick<BreakGlassDependencies, "kubectl">): Promise<Access[]> {
  const stdout = await runner(
    place.target,
    kubectl,
  )(["get", "configmap", "-n", place.namespace, "-l", LABEL, "-o", "json"]);
  return recordList
    .parse(JSON.parse(stdout))
    .items.flatMap(({ data }) => readRecordObject(data) ?? [])
    .sort((one, other) => one.from - other.from);
}
