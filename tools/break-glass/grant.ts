/** Emergency access to a cluster: who gets it, for how long, and what is kept of it. Pure. */
import * as z from "zod";
import { err, ok, type Result } from "../../common/result.ts";
import { stripControlCharacters } from "../../common/text.ts";
import type { Identity } from "../../worker/policy/identify.ts";
import { isSealValid, sealOf } from "./seal.ts";

export interface Grant {
  /**
   * `bg` and 12 hexadecimal digits: in the audit log, in the cluster's own, and in names of Kubernetes
   * objects.
   */
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

/** What is sealed of a grant's ConfigMap, in this order: all of its data but the seal. */
const FIELDS = ["id", "cluster", "identity", "user", "groups", "reason", "by", "method", "from", "until"] as const;

/** The most of a reason that is kept, in UTF-16 units: as much as of a session's. */
const MAX_REASON_CHARS = 512;

/**
 * The grant as a ConfigMap. It stays until somebody deletes it; the API server forgets certificate requests
 * in an hour.
 *
 * @param key of the seal
 */
export function grantConfigMap(
  { id, identity, reason, by, method, from, until, cluster }: Grant,
  namespace: string,
  key: Uint8Array,
): object {
  const data: Readonly<Record<(typeof FIELDS)[number], string>> = {
    ...{ id, cluster, identity: identity.name, user: identity.user, groups: JSON.stringify(identity.groups) },
    // JSON would carry half a character, and the API server replace it: the seal would not be valid any more.
    reason: stripControlCharacters(reason, MAX_REASON_CHARS),
    by: stripControlCharacters(by),
    ...{ method, from: new Date(from).toISOString(), until: new Date(until).toISOString() },
  };
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: configMapName(id), namespace, labels: { [GRANT_LABEL]: "true" } },
    immutable: true,
    data: { ...data, seal: sealOf(key, FIELDS, data) },
  };
}

const configMapName = (id: string) => `break-glass-${id}`;

/** A ConfigMap with the label of grants, whoever wrote it. */
export interface LabelledConfigMap {
  readonly name: string;
  readonly data: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads what {@link grantConfigMap} wrote.
 *
 * @param cluster where it was found
 * @param key undefined where the cluster has none: then nobody has given access there
 * @returns why it is no grant, for a person
 */
export function parseGrant(
  { name, data }: LabelledConfigMap,
  cluster: string,
  key: Uint8Array | undefined,
): Result<Grant, string> {
  const parsed = grantData.safeParse(data);
  if (!parsed.success) return err("it does not have the fields of a grant");
  if (!key || !isSealValid(parsed.data.seal, sealOf(key, FIELDS, data))) return err("its seal is not valid");
  const { id, identity, user, groups, seal: _, ...others } = parsed.data;
  // A copy of a grant is sealed, too.
  if (name !== configMapName(id) || others.cluster !== cluster) return err("it is the copy of another one");
  return ok({ id, identity: { name: identity, user, groups }, ...others });
}

const time = z.iso.datetime().transform((text) => Date.parse(text));

const grantData = z.strictObject({
  id: z.string().regex(/^bg[0-9a-f]{12}$/),
  cluster: z.string(),
  identity: z.string(),
  user: z.string(),
  groups: z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue({ code: "custom", message: "not JSON" });
        return z.NEVER;
      }
    })
    .pipe(z.array(z.string())),
  reason: z.string(),
  by: z.string(),
  method: z.enum(["certificate", "token"]),
  from: time,
  until: time,
  seal: z.string(),
});

/**
 * SQL that enters the grant in the audit log, as a row of `request_rows`, which the view `requests` has.
 * Repeating it adds nothing.
 */
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
