/**
 * The one configuration document, `SALLYPORT_CONFIG`, as its operators write it.
 *
 * Every object is strict: a field this version does not know is an error at start, never silently
 * ignored, because a misspelt `idleTimeoutSeconds` must not become "no limit".
 */
import * as z from "zod";
import { identityRuleSchema } from "./identities.ts";
import { LOCATION_HINTS, type NullableLocationHint } from "./location-hints.ts";
import { requestsSchema } from "./requests.ts";
import { ruleSchema } from "./rules.ts";
import { limitsSchema, nonEmpty, recordingSchema } from "./shared-fields.ts";

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
  teamDomain: issuerUrl.describe(
    "The team's domain, which is also the tokens' `iss`, e.g. `https://example.cloudflareaccess.com`. `https://` without a slash at the end; plain http on loopback only.",
  ),
  audiences: z
    .array(nonEmpty)
    .min(1)
    .describe("Audience tags of the Access applications in front of this Worker. A token must carry one of them."),
  adminAudiences: z
    .array(nonEmpty)
    .min(1)
    .optional()
    .describe(
      "Of `audiences` those one of which must be in the token of who uses the admin API. Without it any will do.",
    ),
  groups: z
    .union([
      z.strictObject({ claim: nonEmpty.describe("A claim of the token, dotted for nested ones.") }),
      z.strictObject({ getIdentity: z.literal(true).describe("Access is asked, once per token and five minutes.") }),
    ])
    .prefault({ claim: "custom.groups" })
    .describe("Where the groups are that rules match on."),
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
  onOutage: z
    .enum(["buffer", "fail-closed"])
    .default("buffer")
    .describe(
      "While D1 does not take events: `buffer` lets sessions go on and queues their events in the user's object; `fail-closed` opens no session whose start is not in D1.",
    ),
  maxQueuedEvents: z
    .int()
    .min(10)
    .max(100_000)
    .default(5_000)
    .describe("No new session once so many of a user's events wait for D1."),
  requests: requestsSchema.prefault({}),
});

const exportSchema = z
  .strictObject({
    prefix: z
      .string()
      .max(200)
      .regex(/^([A-Za-z0-9_][A-Za-z0-9_=.-]*\/)*$/, "folders of letters, digits and _ = . - with a slash after each")
      .default("")
      .describe(
        "Before the keys of the export's objects, with a slash at its end. Another one exports the whole record anew, from its first row.",
      ),
  })
  .meta({
    id: "export",
    description: "The record's way to a SIEM: to the bucket bound as `EXPORT`, where there is one.",
  });

const clusterName = nonEmpty.max(253);
const hostname = nonEmpty.regex(
  /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
  "a host name in lower case, without port or scheme",
);

const clusterSchema = z
  .strictObject({
    name: clusterName.describe("In the audit trail, in rules and in kubeconfigs. No two clusters have the same."),
    hostnames: z.array(hostname).min(1).describe("Requests to one of these hosts are for this cluster."),
    binding: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]*$/, "the name of a binding, e.g. KUBE_API")
      .describe("The Workers VPC binding that leads to it."),
    locationHint: z
      .enum(LOCATION_HINTS)
      .optional()
      .describe("Where the objects are made to live that hold its users' sessions; by default near each user."),
    identities: z
      .array(identityRuleSchema)
      .min(1)
      .refine((rules) => rules.every(({ roles }) => roles.length === 0), {
        message: "roles are for the document's own rules",
      })
      .optional()
      .describe("In place of the document's own. Roles are for all clusters, so they are not here."),
    rules: z.array(ruleSchema).default([]).describe("Before the document's own."),
  })
  .meta({ id: "cluster", description: "One of several clusters." });

export const configSchema = z
  .strictObject({
    access: accessSchema.describe("The Cloudflare Access that stands before this Worker."),
    cluster: clusterName
      .optional()
      .describe("The cluster's name in the audit trail, where there is but one: behind `KUBE_API`, on every hostname."),
    clusters: z
      .array(clusterSchema)
      .min(1)
      .optional()
      .describe("In place of `cluster`, where there are several. A request's host name says which."),
    identities: z
      .array(identityRuleSchema)
      .min(1)
      .describe("Who somebody is. First match wins; no match is a refusal."),
    rules: z
      .array(ruleSchema)
      .default([])
      .describe("What they may do. First match wins; no match leaves it to the cluster's RBAC."),
    limits: limitsSchema.prefault({}),
    audit: auditSchema.prefault({}).describe("What is on record, and what happens while the record cannot be kept."),
    recording: recordingSchema.prefault({}),
    export: exportSchema.prefault({}),
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
  readonly locationHint: NullableLocationHint;
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
export function resolveClusters({ cluster, clusters, identities, rules, ...rest }: ConfigDocument): Config {
  const only = { name: cluster ?? "", hostnames: [], binding: ONLY_BINDING, locationHint: null, identities, rules };
  return {
    ...rest,
    identities,
    clusters: clusters?.map(({ locationHint = null, ...one }) => ({
      ...one,
      locationHint,
      identities: one.identities ?? identities,
      rules: [...one.rules, ...rules],
    })) ?? [only],
  };
}
