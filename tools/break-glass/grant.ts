/** Emergency access to a cluster: who gets it, for how long, and what is kept of it. Pure. */
import { stripControlCharacters } from "../../common/text.ts";
import type { Identity } from "../../worker/policy/identify.ts";

export interface Grant {
  /** `bg` and 12 hexadecimal digits: in the audit log, in the cluster's own, and in names of Kubernetes objects. */
  readonly id: string;
  readonly cluster: string;
  /** Whom Sallyport would make of the person. */
  readonly identity: Pick<Identity, "name" | "user" | "groups"> & Partial<Pick<Identity, "extra">>;
  readonly reason: string;
  /** Who gives it: the cluster's administrator. */
  readonly by: string;
  readonly method: "certificate" | "token";
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

/** Kubernetes issues nothing shorter (TokenRequest and CertificateSigningRequest: 600 s). */
export const MIN_DURATION_MS = 10 * 60_000;
/** A working day: a grant cannot be revoked. */
export const MAX_DURATION_MS = 8 * 60 * 60_000;

/** What kubelet and API server may add because clocks differ: certificates begin five minutes early. */
const TOLERANCE_MS = 10 * 60_000;

/**
 * Whether a credential lasts longer than its grant.
 *
 * @param notAfter end of the credential's validity, ms since the epoch
 */
export function outlastsGrant({ until }: Pick<Grant, "until">, notAfter: number): boolean {
  return notAfter - until > TOLERANCE_MS;
}

/** The label of the ConfigMaps that keep grants. */
export const GRANT_LABEL = "sallyport/break-glass";

/** The grant as a ConfigMap. It stays until somebody deletes it; the API server forgets certificate requests in an hour. */
export function grantConfigMap(
  { id, identity, reason, by, method, from, until, cluster }: Grant,
  namespace: string,
): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `break-glass-${id}`, namespace, labels: { [GRANT_LABEL]: "true" } },
    immutable: true,
    data: {
      ...{ id, cluster, identity: identity.name, user: identity.user, groups: JSON.stringify(identity.groups) },
      ...{ reason, by, method, from: new Date(from).toISOString(), until: new Date(until).toISOString() },
    },
  };
}

/** Reads what {@link grantConfigMap} wrote. @returns undefined for anything else */
export function parseGrant(data: Readonly<Record<string, string | undefined>>): Grant | undefined {
  const { id, cluster, identity, user, groups, reason, by, method, from, until } = data;
  if (!id || !cluster || !identity || !user || !groups || !reason || !by || !from || !until) return undefined;
  if (!/^bg[0-9a-f]{12}$/.test(id) || (method !== "certificate" && method !== "token")) return undefined;
  const times = { from: Date.parse(from), until: Date.parse(until) };
  if (Number.isNaN(times.from) || Number.isNaN(times.until)) return undefined;
  const names: unknown = JSON.parse(groups);
  if (!Array.isArray(names)) return undefined;
  return { id, cluster, identity: { name: identity, user, groups: names.map(String) }, reason, by, method, ...times };
}

/** SQL that enters the grant in the audit log, as a row of `request_rows`, which the view `requests` has. Repeating it adds nothing. */
export function auditLogStatement({ id, cluster, identity, reason, by, method, from, until }: Grant): string {
  const values = {
    id: sqlText(`${new Date(from).toISOString()}-${id}`),
    at: String(from),
    user: sqlText(identity.name),
    kubernetes_user: sqlText(identity.user),
    cluster: sqlText(cluster),
    category: sqlText("admin"),
    decision: sqlText("allowed"),
    rule: sqlText("break-glass"),
    reason: sqlText(`${reason} (${method} given by ${by}, until ${new Date(until).toISOString()})`),
    name: sqlText(id),
    count: "1",
  };
  return `INSERT OR IGNORE INTO request_rows (${Object.keys(values).join(", ")}) VALUES (${Object.values(values).join(", ")})`;
}

/** On one line: the statement is an argument of a program. */
function sqlText(value: string): string {
  return `'${stripControlCharacters(value).replaceAll("'", "''")}'`;
}
