/**
 * The one configuration document, `SALLYPORT_CONFIG`, as its operators write it.
 *
 * Every object is strict: a field this version does not know is an error at start, never silently
 * ignored, because a misspelt `idleTimeoutSeconds` must not become "no limit".
 */
import * as z from "zod";
import { identityRuleSchema } from "./identities.ts";
import { limitsSchema, nonEmpty, recordingSchema } from "./parts.ts";
import { LOCATION_HINTS, type Place } from "./places.ts";
import { requestsSchema } from "./requests.ts";
import { ruleSchema } from "./rules.ts";

export type { IdentityRule, Role } from "./identities.ts";
export type { RequestAuditConfig } from "./requests.ts";
export type { Rule } from "./rules.ts";

/** Loopback is where the local stack's Access stand-in lives; anything else must be TLS. */
const issuerUrl = z
  .url({ protocol: /^https?$/ })
  .refine((url) => url.startsWith("https://") || /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(url), {
    message: "must be https:// (plain http is accepted on loopback only)",
  })
  .refine((url) => !url.endsWith("/"), { message: "must not end with a slash: it is compared with the token's iss" });

const accessFields = z.strictObject({
  /** The team's domain, which is also the tokens' `iss`, e.g. `https://example.cloudflareaccess.com`. */
  teamDomain: issuerUrl,
  /** Audience tags of the Access applications in front of this Worker. A token must carry one of them. */
  audiences: z.array(nonEmpty).min(1),
  /** Of `audiences` those one of which must be in the token of who uses the admin API. Default: any will do. */
  adminAudiences: z.array(nonEmpty).min(1).optional(),
  /** Where the groups are that rules match on: a claim of the token (dotted), or Access's get-identity. */
  groups: z
    .union([z.strictObject({ claim: nonEmpty }), z.strictObject({ getIdentity: z.literal(true) })])
    .prefault({ claim: "custom.groups" }),
});

/** Otherwise a token for it is refused before anybody looks for this, and nobody could give an order. */
const accessSchema = accessFields.superRefine(({ audiences, adminAudiences = [] }, context) => {
  for (const [index, audience] of adminAudiences.entries()) {
    if (audiences.includes(audience)) continue;
    const message = "must be in audiences, too: no other token is accepted here";
    context.addIssue({ code: "custom", message, path: ["adminAudiences", index] });
  }
});

const auditSchema = z.strictObject({
  /**
   * While D1 does not take events: `buffer` lets sessions go on and queues their events in the user's object;
   * `fail-closed` opens no session whose start is not in D1.
   */
  onOutage: z.enum(["buffer", "fail-closed"]).default("buffer"),
  /** No new session once so many of a user's events wait for D1. */
  maxQueuedEvents: z.int().min(10).max(100_000).default(5_000),
  /** Which plain requests are in the record. */
  requests: requestsSchema.prefault({}),
});

const clusterName = nonEmpty.max(253);
const hostname = nonEmpty.regex(
  /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
  "a host name in lower case, without port or scheme",
);

const clusterSchema = z.strictObject({
  /** In the audit trail, in rules and in kubeconfigs. */
  name: clusterName,
  /** Requests to one of these hosts are for this cluster. */
  hostnames: z.array(hostname).min(1),
  /** The Workers VPC binding that leads to it. */
  binding: z.string().regex(/^[A-Z][A-Z0-9_]*$/, "the name of a binding, e.g. KUBE_API"),
  /** Where the objects are made to live that hold its users' sessions; by default near each user. */
  locationHint: z.enum(LOCATION_HINTS).optional(),
  /** In place of the document's own. Roles are for all clusters, so they are not here. */
  identities: z
    .array(identityRuleSchema)
    .min(1)
    .refine((rules) => rules.every(({ roles }) => roles.length === 0), {
      message: "roles are for the document's own rules",
    })
    .optional(),
  /** Before the document's own. */
  rules: z.array(ruleSchema).default([]),
});

export const configSchema = z
  .strictObject({
    access: accessSchema,
    /** The cluster's name in the audit trail, where there is but one: behind `KUBE_API`, on every hostname. */
    cluster: clusterName.optional(),
    /** Where there are several. */
    clusters: z.array(clusterSchema).min(1).optional(),
    /** First match wins; no match is a refusal. */
    identities: z.array(identityRuleSchema).min(1),
    /** First match wins; no match leaves it to the cluster's RBAC. */
    rules: z.array(ruleSchema).default([]),
    limits: limitsSchema.prefault({}),
    audit: auditSchema.prefault({}),
    recording: recordingSchema.prefault({}),
  })
  .refine(({ cluster, clusters }) => (cluster === undefined) !== (clusters === undefined), {
    message: "name either cluster or clusters",
  });

type ConfigDocument = z.output<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;
export type Limits = z.output<typeof limitsSchema>;

/** A cluster as requests are decided by: everything of the document that concerns it is here. */
export interface Cluster {
  readonly name: string;
  /** Empty: any. */
  readonly hostnames: readonly string[];
  readonly binding: string;
  readonly place: Place;
  readonly identities: ConfigDocument["identities"];
  readonly rules: ConfigDocument["rules"];
}

/** The document with its clusters resolved. */
export interface Config extends Omit<ConfigDocument, "cluster" | "clusters" | "rules"> {
  readonly clusters: readonly Cluster[];
}

/** The binding of a document that names one cluster only. */
const ONLY_BINDING = "KUBE_API";

/** Gives each cluster the rules that apply to it. */
export function resolve({ cluster, clusters, identities, rules, ...rest }: ConfigDocument): Config {
  const only = { name: cluster ?? "", hostnames: [], binding: ONLY_BINDING, place: null, identities, rules };
  return {
    ...rest,
    identities,
    clusters: clusters?.map(({ locationHint = null, ...one }) => ({
      ...one,
      place: locationHint,
      identities: one.identities ?? identities,
      rules: [...one.rules, ...rules],
    })) ?? [only],
  };
}
