/** Gives a person access to a cluster without Cloudflare, as the user that Sallyport makes of them. */
import * as z from "zod";
import { OperatorError } from "../deployment/operator-error.ts";
import { isAtLeast } from "../doctor/version.ts";
import type { Kubectl, KubectlTarget } from "../ports/kubectl.ts";
import { makeCertificateRequest, readCertificate, signingRequest } from "./certificate.ts";
import {
  GRANT_LABEL,
  type Grant,
  grantConfigMap,
  MAX_DURATION_MS,
  MIN_DURATION_MS,
  outlastsGrant,
  parseGrant,
} from "./grant.ts";
import { type ClusterAddress, type Credential, kubeconfigOf } from "./kubeconfig.ts";
import { KEY_BYTES, KEY_FIELD, KEY_SECRET, keySecret } from "./seal.ts";

export interface BreakGlassDependencies {
  readonly kubectl: Kubectl;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** A cluster as its administrator reaches it, and where the connector is in it. */
export interface AdminAccess {
  readonly target: KubectlTarget;
  /** The connector's. */
  readonly namespace: string;
  /** The connector's. */
  readonly serviceAccount: string;
}

/** Earlier versions ignore `expirationSeconds` and sign for a year. */
const MIN_VERSION_FOR_CERTIFICATES = "1.22";
const MAX_SIGNING_MS = 30_000;
const POLL_MS = 500;

/**
 * Issues a grant's credential. The grant is stored in the cluster first: no credential exists that nobody
 * wrote down.
 *
 * @returns the text of a kubeconfig
 * @throws OperatorError; then there is no credential
 */
export async function issueGrant(
  grant: Grant,
  access: AdminAccess,
  dependencies: BreakGlassDependencies,
): Promise<string> {
  checkGrant(grant);
  const run = runner(access.target, dependencies.kubectl);
  const address = await readAddress(run);
  if (grant.method === "certificate") await checkSigningVersion(run);
  const key = (await readKey(run, access.namespace)) ?? (await createKey(run, access.namespace));
  await run(["create", "-f", "-"], JSON.stringify(grantConfigMap(grant, access.namespace, key)));
  const credential =
    grant.method === "certificate"
      ? await issueCertificate(grant, run, dependencies)
      : await issueToken(grant, access, run);
  return kubeconfigOf(grant, address, credential);
}

/** @throws OperatorError where such a grant is never given */
function checkGrant({ from, until, reason, identity }: Grant): void {
  const duration = until - from;
  if (duration < MIN_DURATION_MS || duration > MAX_DURATION_MS) {
    throw new OperatorError("--for must be from 10m to 8h: a grant cannot be revoked");
  }
  if (reason.trim() === "") throw new OperatorError("--reason is required: it is kept with the grant");
  if ([identity.user, ...identity.groups].includes("system:masters")) {
    throw new OperatorError("system:masters is never granted: RBAC cannot restrict it");
  }
}

/** Runs kubectl. @returns its output. @throws OperatorError with its last line of error */
type RunKubectl = (args: readonly string[], input?: string) => Promise<string>;

function runner(target: KubectlTarget, kubectl: Kubectl): RunKubectl {
  return async (args, input) => {
    const { code, stdout, stderr } = await kubectl(target, args, input);
    if (code === 127) throw new OperatorError("kubectl is not installed here: install it, or set KUBECTL to its path");
    if (code !== 0) {
      throw new OperatorError(`kubectl ${args.slice(0, 2).join(" ")}: ${stderr.trim().split("\n").at(-1) ?? ""}`);
    }
    return stdout;
  };
}

const configView = z.object({
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

/** Reads the cluster's address and authority. The administrator's own credential is not used. */
async function readAddress(run: RunKubectl): Promise<ClusterAddress> {
  const printed = await run(["config", "view", "--minify", "--flatten", "--raw", "-o", "json"]);
  const { cluster } = configView.parse(JSON.parse(printed)).clusters[0];
  if (cluster["insecure-skip-tls-verify"]) {
    throw new OperatorError(
      "this kubeconfig does not verify the API server: use one with the cluster's certificate authority",
    );
  }
  return { server: cluster.server, certificateAuthority: cluster["certificate-authority-data"] };
}

const versionInfo = z.object({ gitVersion: z.string() });

async function checkSigningVersion(run: RunKubectl): Promise<void> {
  const { gitVersion } = versionInfo.parse(JSON.parse(await run(["get", "--raw", "/version"])));
  if (!isAtLeast(gitVersion, MIN_VERSION_FOR_CERTIFICATES)) {
    throw new OperatorError(
      `the cluster's version ${gitVersion} would sign a certificate for a year: use --method token`,
    );
  }
}

async function issueCertificate(
  grant: Grant,
  run: RunKubectl,
  { now, wait }: BreakGlassDependencies,
): Promise<Credential> {
  const { key, request } = await makeCertificateRequest(grant);
  const name = `break-glass-${grant.id}`;
  await run(["create", "-f", "-"], JSON.stringify(signingRequest(grant, request)));
  await run(["certificate", "approve", name]);
  const began = now();
  for (;;) {
    const encoded = await run(["get", "csr", name, "-o", "jsonpath={.status.certificate}"]);
    if (encoded !== "") {
      const certificate = Buffer.from(encoded, "base64").toString();
      checkCertificate(grant, certificate);
      return { certificate, key };
    }
    if (now() - began > MAX_SIGNING_MS) {
      throw new OperatorError(
        "the cluster signs no client certificates (Amazon EKS, for one, does not): use --method token",
      );
    }
    await wait(POLL_MS);
  }
}

/**
 * The cluster may sign something else than it was asked to.
 *
 * @throws OperatorError; the key is then never written
 */
function checkCertificate(grant: Grant, certificate: string): void {
  const { notAfter, user, groups } = readCertificate(certificate);
  if (outlastsGrant(grant, notAfter)) {
    throw new OperatorError(
      `the certificate lasts until ${new Date(notAfter).toISOString()}, longer than requested: ` +
        "its key is discarded, use --method token",
    );
  }
  const requested = new Set(grant.identity.groups);
  const hasGroups = groups.length === grant.identity.groups.length && groups.every((group) => requested.has(group));
  if (user !== grant.identity.user || !hasGroups) {
    throw new OperatorError("the certificate has other names than requested: its key is discarded");
  }
}

/** Issues a token of the connector's service account, which the kubeconfig uses with the person's name. */
async function issueToken(
  grant: Grant,
  { namespace, serviceAccount }: AdminAccess,
  run: RunKubectl,
): Promise<Credential> {
  const seconds = Math.round((grant.until - grant.from) / 1000);
  const token = (await run(["create", "token", serviceAccount, "-n", namespace, `--duration=${seconds}s`])).trim();
  const notAfter = expiryOf(token);
  if (outlastsGrant(grant, notAfter)) {
    throw new OperatorError(
      `the token lasts until ${new Date(notAfter).toISOString()}, longer than requested: it is discarded`,
    );
  }
  return { token };
}

/** @returns ms since the epoch */
function expiryOf(token: string): number {
  const payload = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { exp?: unknown };
  if (typeof payload.exp !== "number") throw new OperatorError("the token has no expiry: it is discarded");
  return payload.exp * 1000;
}

/** The administrator's user name in the cluster. Kubernetes before 1.28 cannot tell. */
export async function administratorOf(
  { target }: Pick<AdminAccess, "target">,
  { kubectl }: Pick<BreakGlassDependencies, "kubectl">,
): Promise<string> {
  const { code, stdout } = await kubectl(target, ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
  return code === 0 && stdout !== "" ? stdout : "unknown, see the cluster's audit log";
}

const secret = z.object({ data: z.object({ [KEY_FIELD]: z.string() }) });

/** @returns the key of the seals; undefined where the cluster has none. @throws OperatorError */
async function readKey(run: RunKubectl, namespace: string): Promise<Uint8Array | undefined> {
  const printed = await run(["get", "secret", KEY_SECRET, "-n", namespace, "--ignore-not-found", "-o", "json"]);
  if (printed.trim() === "") return undefined;
  const key = Buffer.from(secret.parse(JSON.parse(printed)).data[KEY_FIELD], "base64");
  if (key.length !== KEY_BYTES) {
    throw new OperatorError(`secret/${KEY_SECRET} in the namespace ${namespace} is not a key: delete it and try again`);
  }
  return key;
}

async function createKey(run: RunKubectl, namespace: string): Promise<Uint8Array> {
  const key = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  await run(["create", "-f", "-"], JSON.stringify(keySecret(key, namespace)));
  return key;
}

const configMaps = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      data: z.record(z.string(), z.string()).default({}),
    }),
  ),
});

/** What the cluster keeps of given access. */
export interface StoredGrants {
  /** Oldest first. */
  readonly grants: readonly Grant[];
  /** ConfigMaps with the label of grants that this command did not write. */
  readonly rejected: readonly { readonly name: string; readonly why: string }[];
}

/**
 * Reads every grant whose ConfigMap is in the cluster. Whoever may write ConfigMaps there can forge one, so
 * each is verified.
 *
 * @param cluster its name in the deployment file
 * @throws OperatorError
 */
export async function listGrants(
  cluster: string,
  { target, namespace }: AdminAccess,
  { kubectl }: Pick<BreakGlassDependencies, "kubectl">,
): Promise<StoredGrants> {
  const run = runner(target, kubectl);
  const printed = await run(["get", "configmap", "-n", namespace, "-l", GRANT_LABEL, "-o", "json"]);
  const stored = configMaps.parse(JSON.parse(printed)).items;
  const key = stored.length === 0 ? undefined : await readKey(run, namespace);
  const grants: Grant[] = [];
  const rejected: { name: string; why: string }[] = [];
  for (const { metadata, data } of stored) {
    const { name } = metadata;
    const grant = parseGrant({ name, data }, cluster, key);
    if (grant.ok) grants.push(grant.value);
    else rejected.push({ name, why: grant.error });
  }
  return { grants: grants.sort((one, other) => one.from - other.from), rejected };
}
