/** What somebody is given in an emergency, and what of it is kept. Pure. */
import type { Identity } from "../../worker/policy/identify.ts";

export interface Access {
  /** In the record, in the cluster's audit log and in the names of what is made. Fits the ids of the table `requests`. */
  readonly id: string;
  readonly cluster: string;
  /** As Sallyport itself would have it. */
  readonly identity: Pick<Identity, "name" | "user" | "groups"> & Partial<Pick<Identity, "extra">>;
  readonly reason: string;
  /** Who gives it: the admin of the cluster. */
  readonly by: string;
  readonly method: "certificate" | "token";
  /** ms since the epoch. */
  readonly from: number;
  readonly until: number;
}

/** Below it Kubernetes makes neither (TokenRequest, CertificateSigningRequest: 600 s). */
export const LEAST_MS = 10 * 60_000;
/** A day's work and no more: it cannot be taken back. */
export const MOST_MS = 8 * 60 * 60_000;

/** What kubelet and API server may add for clocks that differ: certificates begin five minutes early. */
const TOLERANCE_MS = 10 * 60_000;

/** @returns what is wrong with how long a credential really lasts */
export function tooLong(order: Access, notAfter: number): string | undefined {
  const over = notAfter - order.until;
  return over <= TOLERANCE_MS ? undefined : `lasts until ${new Date(notAfter).toISOString()}, longer than was ordered`;
}

export const LABEL = "sallyport/break-glass";

/** Stays in the cluster until somebody takes it away: the API server forgets certificate requests after an hour. */
export function recordObject(
  { id, identity, reason, by, method, from, until, cluster }: Access,
  namespace: string,
): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `break-glass-${id}`, namespace, labels: { [LABEL]: "true" } },
    immutable: true,
    data: {
      ...{ id, cluster, identity: identity.name, user: identity.user, groups: JSON.stringify(identity.groups) },
      ...{ reason, by, method, from: new Date(from).toISOString(), until: new Date(until).toISOString() },
    },
  };
}

/** The same as a row of the record's table `requests`: an administrator's order, by its rule's name. Twice is once. */
export function recordStatement({ id, cluster, identity, reason, by, method, from, until }: Access): string {
  const words = `${reason} (${method} given by ${by}, until ${new Date(until).toISOString()})`;
  const values = {
    id: text(`${new Date(from).toISOString()}-${id}`),
    at: String(from),
    user: text(identity.name),
    kubernetes_user: text(identity.user),
    cluster: text(cluster),
    category: text("admin"),
    decision: text("allowed"),
    rule: text("break-glass"),
    reason: text(words),
    name: text(id),
    count: "1",
  };
  return `INSERT OR IGNORE INTO requests (${Object.keys(values).join(", ")}) VALUES (${Object.values(values).join(", ")})`;
}

/** A text as SQL: one line, for it travels as an argument. */
function text(value: string): string {
  return `'${value.replaceAll(/\p{Cc}+/gu, " ").replaceAll("'", "''")}'`;
}

/** Reads {@link recordObject} back. @returns undefined for what is none */
export function readRecordObject(data: Readonly<Record<string, string | undefined>>): Access | undefined {
  const { id, cluster, identity, user, groups, reason, by, method, from, until } = data;
  if (!id || !cluster || !identity || !user || !groups || !reason || !by || !from || !until) return undefined;
  if (!/^bg[0-9a-f]{12}$/.test(id) || (method !== "certificate" && method !== "token")) return undefined;
  const times = { from: Date.parse(from), until: Date.parse(until) };
  if (Number.isNaN(times.from) || Number.isNaN(times.until)) return undefined;
  const names: unknown = JSON.parse(groups);
  if (!Array.isArray(names)) return undefined;
  return { id, cluster, identity: { name: identity, user, groups: names.map(String) }, reason, by, method, ...times };
}

export interface ClusterAddress {
  readonly server: string;
  readonly certificateAuthority: string | undefined;
}

export type Credential =
  | { readonly certificate: string; readonly key: string }
  /** Of the connector's account, which may be these people and no others. */
  | { readonly token: string };

/** A kubeconfig as JSON, which kubectl reads as YAML. */
export function kubeconfig(
  order: Access,
  { server, certificateAuthority }: ClusterAddress,
  credential: Credential,
): string {
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  const { identity, id, cluster } = order;
  const user =
    "token" in credential
      ? {
          token: credential.token,
          as: identity.user,
          "as-groups": identity.groups,
          // Where Sallyport has a session's id.
          "as-user-extra": { ...identity.extra, "sallyport-session": [id] },
        }
      : { "client-certificate-data": base64(credential.certificate), "client-key-data": base64(credential.key) };
  const name = `break-glass-${cluster}`;
  const document = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      {
        name,
        cluster: { server, ...(certificateAuthority && { "certificate-authority-data": certificateAuthority }) },
      },
    ],
    users: [{ name: identity.user, user }],
    contexts: [{ name, context: { cluster: name, user: identity.user } }],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
