/**
 * The configuration document, `SALLYPORT_CONFIG`, as operators write it.
 *
 * Every object is strict: an unknown field is an error at start. A misspelled `idleTimeoutSeconds` must not
 * become "no limit".
 */
import * as z from "zod";
import { KEEP_MONTHS } from "../../audit/seal/months.ts";
import { DEFAULT_MAX_SESSION_BYTES_PER_DAY } from "../../contract/limits.ts";
import { LOCATION_HINTS, type NullableLocationHint } from "../../contract/placement.ts";
import { SIDECAR_ADDRESS, UPSTREAM_TRANSPORTS, type UpstreamPlan } from "../../contract/upstream.ts";
import { grantSchema } from "./grants.ts";
import { identityRuleSchema } from "./identities.ts";
import { requestsSchema } from "./requests.ts";
import { ruleSchema } from "./rules.ts";
import { limitsSchema, nonEmpty, recordingSchema } from "./shared-fields.ts";

export type { Grant } from "./grants.ts";
export type { IdentityRule, Role } from "./identities.ts";
export type { RequestAuditConfig } from "./requests.ts";
export type { Rule } from "./rules.ts";

/** The local stack's fake Access is on loopback. Everything else must be TLS. */
const issuerUrl = z
  .url({ protocol: /^https?$/ })
  .refine((url) => url.startsWith("https://") || /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(url), {
    message: "must be https:// (plain http is accepted on loopback only)",
  })
  .refine((url) => !url.endsWith("/"), { message: "must not end with a slash: it is compared with the token's iss" });

const accessFields = z.strictObject({
  teamDomain: issuerUrl.describe(
    "The team's domain, which is also the `iss` of tokens, e.g. `https://example.cloudflareaccess.com`, without a slash at the end. Plain http on loopback only.",
  ),
  audiences: z
    .array(nonEmpty)
    .min(1)
    .describe("Audience tags of the Access applications in front of this Worker. A token must have one of them."),
  adminAudiences: z
    .array(nonEmpty)
    .min(1)
    .optional()
    .describe("The `audiences` for the admin API: a token must have one of these there. Default: all audiences."),
  serviceAudiences: z
    .array(nonEmpty)
    .optional()
    .describe(
      "Those of the `audiences` whose applications admit service tokens only. Nobody signs in there, so kubeconfigs do not count them. Default: none.",
    ),
  groups: z
    .union([
      z.strictObject({ claim: nonEmpty.describe("A claim of the token, with dots for nested ones.") }),
      z.strictObject({
        getIdentity: z.literal(true).describe("Access is asked (get-identity), once per token in five minutes."),
      }),
    ])
    .prefault({ claim: "custom.groups" })
    .describe("Where the groups in identity rules come from."),
  managedOAuth: z
    .boolean()
    .default(false)
    .describe(
      "Whether the Access applications have Managed OAuth on. Then `/-/kubeconfig` returns kubeconfigs that sign in through `kubectl-sallyport`, for people without WARP.",
    ),
});

/** A token for any other audience is refused before its role counts: nobody could use the admin API. */
const accessSchema = accessFields.superRefine(({ audiences, adminAudiences = [], serviceAudiences = [] }, context) => {
  for (const [field, parts] of Object.entries({ adminAudiences, serviceAudiences })) {
    for (const [index, audience] of parts.entries()) {
      if (audiences.includes(audience)) continue;
      const message = "must also be in audiences: other tokens are refused";
      context.addIssue({ code: "custom", message, path: [field, index] });
    }
  }
});

const sealSchema = z
  .strictObject({
    keepMonths: z
      .int()
      .min(KEEP_MONTHS.least)
      .max(KEEP_MONTHS.most)
      .nullable()
      .default(null)
      .describe(
        "Months after which rows that were sealed leave D1. They stay in the bucket of recordings, under `seals/`. `null`: they stay in D1 as well, which takes 10 GB and no more.",
      ),
  })
  .meta({
    id: "seal",
    description: "Sealing of the audit log: at the end of a month, or at 1 GB, rows are copied under `seals/`.",
  });

const auditSchema = z.strictObject({
  onOutage: z
    .enum(["buffer", "fail-closed"])
    .default("buffer")
    .describe(
      "While D1 does not accept events: `buffer` queues them in the user's object and opens sessions; `fail-closed` opens no session whose start is not in D1.",
    ),
  maxQueuedEvents: z
    .int()
    .min(10)
    .max(100_000)
    .default(5_000)
    .describe("No new session while this many of a user's events wait for D1."),
  maxSessionBytesPerDay: z
    .int()
    .min(1_000_000)
    .max(100_000_000_000)
    .default(DEFAULT_MAX_SESSION_BYTES_PER_DAY)
    .describe(
      "How many bytes a person's sessions may add to the database per day (UTC), at the clusters of one location hint. A usual session adds 2,000, one with a long command more. Beyond it a new session is refused (429).",
    ),
  requests: requestsSchema.prefault({}),
  seal: sealSchema.prefault({}),
});

const exportSchema = z
  .strictObject({
    prefix: z
      .string()
      .max(200)
      .regex(/^([A-Za-z0-9_][A-Za-z0-9_=.-]*\/)*$/, "folders of letters, digits and _ = . - with a slash after each")
      .default("")
      .describe(
        "Prefix of the export's object keys, with a slash at its end. A new prefix exports the whole audit log again, from its first row.",
      ),
  })
  .meta({
    id: "export",
    description: "Export of the audit log, to the bucket bound as `EXPORT`, if there is one.",
  });

/** A page's origin as browsers write it in `Origin`: nothing else would ever be equal to it. */
const loopbackOrigin = z
  .string()
  .regex(
    /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:[1-9]\d{0,4})?$/,
    "http:// or https://, then localhost, 127.0.0.1 or [::1], and a port; no path",
  )
  .refine((origin) => URL.parse(origin)?.origin === origin, "not as browsers write it: leave out the default port");

const portForwardSchema = z
  .strictObject({
    onUnreadable: z
      .enum(["end", "continue"])
      .default("end")
      .describe(
        "What happens to a session whose frames Sallyport cannot read as the cluster does, so that its ports and bytes are unknown. `continue`: the audit log marks it as unreadable.",
      ),
  })
  .meta({ id: "portForward", description: "How port-forwards are followed." });

const bindingName = z.string().regex(/^[A-Z][A-Z0-9_]*$/, "the name of a binding, e.g. KUBE_API");

/** How sessions reach a cluster. Beside `cluster` for the only one, otherwise in each of `clusters`. */
const upstreamFields = {
  transport: z
    .enum(UPSTREAM_TRANSPORTS)
    .optional()
    .describe(
      "How sessions reach the cluster. `auto`: over TCP if `tcpBinding` is set and bound, otherwise by WebSocket. `tcp`: over TCP, or they are refused. `websocket`: never over TCP. Default: `auto`.",
    ),
  tcpBinding: bindingName
    .optional()
    .describe(
      "The binding whose `connect()` leads to the cluster: a VPC service of type `tcp`, or a VPC network. Default: none; `tcp` then uses the cluster's own binding.",
    ),
  tcpAddress: z
    .string()
    .regex(/^([a-z0-9.-]+|\[[0-9a-f:.]+\]):[1-9]\d{0,4}$/i, "host:port")
    .optional()
    .describe(
      `Where \`connect()\` leads, as \`host:port\`; plain HTTP is spoken there. A VPC service ignores it. Default: \`${SIDECAR_ADDRESS}\`, the connector's sidecar.`,
    ),
};
const UPSTREAM_FIELDS = Object.keys(upstreamFields) as readonly (keyof typeof upstreamFields)[];

const clusterName = nonEmpty.max(253);

/** The rest of what is beside `cluster` for the only one, otherwise in each of `clusters`. */
const connectorFields = {
  connectorNamespace: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "the name of a namespace")
    .optional()
    .describe(
      "The namespace that the cluster's connector runs in. It is closed to everybody, unless a rule names it. `npx sallyport deploy` sets it. Default: none is closed.",
    ),
};
const FIELDS_OF_ONE_CLUSTER = [...UPSTREAM_FIELDS, "connectorNamespace"] as const;

const hostname = nonEmpty.regex(
  /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
  "a host name in lower case, without port or scheme",
);

const clusterSchema = z
  .strictObject({
    name: clusterName.describe("Its name in the audit log, in rules and in kubeconfigs. Unique."),
    hostnames: z.array(hostname).min(1).describe("Requests to one of these hosts are for this cluster."),
    binding: bindingName.describe("The Workers VPC binding of the cluster."),
    ...upstreamFields,
    ...connectorFields,
    locationHint: z
      .enum(LOCATION_HINTS)
      .optional()
      .describe("Where the Durable Objects that hold its sessions are created. Default: near each user."),
    identities: z
      .array(identityRuleSchema)
      .min(1)
      .refine((rules) => rules.every(({ roles }) => roles.length === 0), {
        message: "only the document's own identity rules have roles",
      })
      .optional()
      .describe("Replace the document's own for this cluster. They have no roles, which hold for all clusters."),
    rules: z.array(ruleSchema).default([]).describe("Evaluated before the document's own."),
  })
  .meta({ id: "cluster", description: "One of several clusters." });

export const configSchema = z
  .strictObject({
    access: accessSchema.describe("The Cloudflare Access in front of this Worker."),
    cluster: clusterName
      .optional()
      .describe("The name of the only cluster, which is behind `KUBE_API`, on every host name."),
    ...upstreamFields,
    ...connectorFields,
    clusters: z
      .array(clusterSchema)
      .min(1)
      .optional()
      .describe("Several clusters, instead of `cluster`. A request's host name selects one."),
    identities: z
      .array(identityRuleSchema)
      .min(1)
      .describe("Who somebody is. The first match decides; without a match access is denied."),
    rules: z
      .array(ruleSchema)
      .default([])
      .describe("What they may do. The first match decides; without a match the cluster's RBAC does."),
    grants: z
      .array(grantSchema)
      .max(100)
      .default([])
      .describe("Access for a while, which people ask for and others approve."),
    limits: limitsSchema.prefault({}),
    audit: auditSchema
      .prefault({})
      .describe("What is recorded, and what happens while the audit log cannot be written."),
    recording: recordingSchema.prefault({}),
    portForward: portForwardSchema.prefault({}),
    loopbackOrigins: z
      .array(loopbackOrigin)
      .max(20)
      .default([])
      .describe(
        "Origins of web pages on people's own machines that may write and open sessions through a local program, e.g. `http://localhost:8001` for `kubectl proxy`. Scheme, host and port must be equal. Whatever is served there is trusted. Never under `/-/`.",
      ),
    export: exportSchema.prefault({}),
  })
  .refine(({ cluster, clusters }) => (cluster === undefined) !== (clusters === undefined), {
    message: "name either cluster or clusters",
  })
  .superRefine((document, context) => {
    if (document.clusters === undefined) return;
    for (const field of FIELDS_OF_ONE_CLUSTER.filter((name) => document[name] !== undefined)) {
      context.addIssue({ code: "custom", message: "is for a single cluster: set it in clusters", path: [field] });
    }
  });

type ConfigDocument = z.output<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;
export type Limits = z.output<typeof limitsSchema>;

/** A cluster with everything in the document that concerns it. */
export interface Cluster {
  readonly name: string;
  /** Empty for every host name. */
  readonly hostnames: readonly string[];
  readonly binding: string;
  readonly upstream: UpstreamPlan;
  readonly locationHint: NullableLocationHint;
  readonly connectorNamespace: string | undefined;
  readonly identities: ConfigDocument["identities"];
  readonly rules: ConfigDocument["rules"];
}

/** The document, with its clusters resolved. */
export interface Config
  extends Omit<ConfigDocument, "cluster" | "clusters" | "rules" | (typeof FIELDS_OF_ONE_CLUSTER)[number]> {
  readonly clusters: readonly Cluster[];
}

/** The binding of a single `cluster`. */
const ONLY_BINDING = "KUBE_API";

/** Gives each cluster the identities and rules that apply to it. */
export function resolveClusters(document: ConfigDocument): Config {
  const { cluster, clusters, identities, rules, transport, tcpBinding, tcpAddress, connectorNamespace, ...rest } =
    document;
  const only: Cluster = {
    name: cluster ?? "",
    hostnames: [],
    binding: ONLY_BINDING,
    upstream: upstreamOf(document),
    locationHint: null,
    connectorNamespace,
    identities,
    rules,
  };
  return {
    ...rest,
    identities,
    clusters: clusters?.map((one) => ({
      name: one.name,
      hostnames: one.hostnames,
      binding: one.binding,
      upstream: upstreamOf(one),
      locationHint: one.locationHint ?? null,
      connectorNamespace: one.connectorNamespace,
      identities: one.identities ?? identities,
      rules: [...one.rules, ...rules],
    })) ?? [only],
  };
}

type UpstreamFields = { readonly [Field in keyof typeof upstreamFields]?: z.output<(typeof upstreamFields)[Field]> };

function upstreamOf({ transport = "auto", tcpBinding, tcpAddress = SIDECAR_ADDRESS }: UpstreamFields): UpstreamPlan {
  return { transport, tcpBinding: tcpBinding ?? null, address: tcpAddress };
}
