/**
 * The schema of the deployment file, from which everything of a deployment is made. Unknown fields are
 * errors. The parts that belong to the Worker's configuration (identities, rules, limits, …) are validated by
 * the Worker's own schemas.
 */
import * as z from "zod";
import { MAX_UNSEALED_DAYS } from "../../audit/seal/months.ts";
import { configSchema } from "../../worker/config/schema.ts";
import { nonEmpty } from "../../worker/config/shared-fields.ts";
import { PLATFORM_NAMES } from "../manifests/platforms.ts";
import { duration, requirementList, uuid, whoList, whoListOrNone } from "./access.ts";
import { demoSchema } from "./demo.ts";
import { stateSchema } from "./state.ts";

const {
  access,
  identities,
  rules,
  grants,
  limits,
  audit,
  recording,
  portForward,
  loopbackOrigins,
  export: exported,
  clusters,
} = configSchema.shape;
const workerCluster = clusters.unwrap().element.shape;

/**
 * Validates by the Worker's schema and keeps the value as it was written. With all its defaults the Worker's
 * configuration would be several times as long, and a variable holds 5 KB.
 *
 * @param meaning for docs/CONFIGURATION.md, where the Worker's configuration has the fields
 */
function asWritten<S extends z.ZodType>(schema: S, meaning: string) {
  return z
    .custom<z.input<S>>()
    .superRefine((value, context) => {
      for (const { message, path } of schema.safeParse(value).error?.issues ?? []) {
        context.addIssue({ code: "custom", message, path: [...path] });
      }
    })
    .describe(meaning);
}

/** A name that is valid for resources, namespaces and Workers. */
const label = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[a-z]([a-z0-9-]*[a-z0-9])?$/, "lower case letters, digits and dashes, beginning with a letter");

/** https://developers.cloudflare.com/r2/reference/data-location/ and, with the same names, D1's. */
export const RECORD_LOCATIONS = ["wnam", "enam", "weur", "eeur", "apac", "oc"] as const;

const cidr = z.union([z.cidrv4(), z.cidrv6()], { error: "a network such as 10.0.0.1/32" });

const hostname = z
  .string()
  .max(253)
  .regex(/^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/, "a host name in lower case");

/** Pinned: otherwise a rollout would run whatever the registry has that day. */
const pinnedImage = z
  .string()
  .regex(/^[a-z0-9][a-z0-9./_:-]*(:(?!latest(@|$))[\w][\w.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/, {
    message: "an image with a version or a digest, and not :latest",
  });

/** Not relative: Terraform runs in its stack's folder. */
const kubeconfigPath = z.string().regex(/^(~?\/)./, "a path that begins with / or ~/");

const serviceTokenSchema = z
  .strictObject({
    name: label(40).describe("Its name in this file."),
    secretVersion: z
      .int()
      .min(1)
      .exactOptional()
      .describe("Raise it by one to replace the secret. The client id stays. Default: 1."),
    previousSecretUntil: z.iso
      .datetime()
      .exactOptional()
      .describe("Until when the secret before is accepted as well, such as `2026-12-01T12:00:00Z`."),
  })
  .refine(({ secretVersion = 1, previousSecretUntil }) => previousSecretUntil === undefined || secretVersion > 1, {
    message: "there is no previous secret before secretVersion 2",
    path: ["previousSecretUntil"],
  })
  .meta({ id: "serviceToken", description: "A service token that Terraform creates." });

const oauthSchema = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        "Access signs people in with OAuth on the host names themselves (Managed OAuth, in beta), which `kubectl-sallyport` uses. Also for `/-/admin`.",
      ),
    accessTokenLifetime: duration
      .default("15m")
      .describe("How long an access token lasts. Cloudflare recommends 5 to 15 minutes."),
    sessionDuration: duration
      .default("336h")
      .describe(
        "How long access tokens are renewed without a sign-in. Access evaluates the policies at each renewal. Cloudflare recommends 1 to 2 weeks.",
      ),
    adminSessionDuration: duration
      .exactOptional()
      .describe("The same for `/-/admin`. Default: `access.adminSessionDuration`."),
  })
  .meta({ id: "oauth", description: "Sign-in by OAuth, for people without the Cloudflare One client." });

const accessSchema = z.strictObject({
  teamDomain: access.shape.teamDomain
    .refine((url) => url.startsWith("https://"), { message: "must be https://" })
    .describe("`https://<team>.cloudflareaccess.com`."),
  sessionDuration: duration
    .default("8h")
    .describe(
      "How long a sign-in in a browser lasts, at most a month (730h). Set on the applications and on their policies, which outrank them.",
    ),
  allow: whoList.describe("Who is admitted to the clusters' host names."),
  require: requirementList
    .default([])
    .describe("Conditions that people must also meet, such as a device posture check; all of them."),
  admins: whoList.describe(
    "Who reaches `/-/admin`. The roles of `sallyport.identities` decide what they may do there.",
  ),
  auditors: whoListOrNone
    .default([])
    .describe(
      "Who reaches `/-/admin` besides the administrators, to look at sessions, recordings and the audit log. Give them the role `auditor` in `sallyport.identities`.",
    ),
  adminRequire: requirementList.default([]).describe("Conditions that administrators and auditors must also meet."),
  adminSessionDuration: duration
    .default("1h")
    .describe("How long an administrator's or an auditor's sign-in for `/-/admin` lasts."),
  oauth: oauthSchema.prefault({}),
  warp: z
    .boolean()
    .default(false)
    .describe(
      "A session of the Cloudflare One client (WARP) counts as a sign-in, so that plain kubectl is admitted. Not for `/-/admin`. The account must have a WARP session duration before: see DEPLOY.md.",
    ),
  identityProviders: z
    .array(uuid)
    .default([])
    .describe("Ids of the identity providers that people may choose from. Empty: all of the account's."),
  serviceTokens: z
    .array(
      z.union([label(40).transform((name): z.output<typeof serviceTokenSchema> => ({ name })), serviceTokenSchema]),
    )
    .default([])
    .describe(
      "Service tokens that Terraform creates, as names or as [objects](#deployment-servicetoken). Rules and policies refer to them by their names.",
    ),
  serviceTokenHosts: z
    .enum(["own", "shared"])
    .default("own")
    .describe(
      "Where the service tokens of `allow` come in. `own`: an Access application and a host name for each cluster that people do not use, `clusters[].serviceTokenHostname`. `shared`: the people's. It is not documented whether policies for service tokens disturb WARP sign-ins on the same application.",
    ),
  groups: access.shape.groups,
});

const connectorSchema = z
  .strictObject({
    replicas: z
      .int()
      .min(3)
      .max(25)
      .default(3)
      .describe(
        "Cloudflare accepts 25 connectors per tunnel. With fewer than three there is no high availability while one is replaced.",
      ),
    namespace: label(63).exactOptional().describe("The namespace it runs in. Default: the deployment's name."),
    metricsFrom: label(63).exactOptional().describe("The namespace that may read metrics. Default: none."),
    networkPolicy: z
      .boolean()
      .default(true)
      .describe(
        "Create a NetworkPolicy. Turn it off where the network plugin needs its own kind of policy for the API server (Cilium).",
      ),
    dns: z
      .array(cidr)
      .default([])
      .describe("Networks of DNS servers other than those in kube-system and the node-local cache."),
    images: z
      .strictObject({
        cloudflared: pinnedImage.exactOptional().describe("The image of cloudflared, with a version or a digest."),
        kubectl: pinnedImage.exactOptional().describe("The image of the sidecar, with a version or a digest."),
      })
      .default({})
      .describe("Images from your own registry, of the same version as the default or later."),
  })
  .meta({ id: "connector", description: "The connector in the cluster: cloudflared and its sidecar." });

const clusterSchema = z
  .strictObject({
    name: label(40).describe("Used in the audit log, in rules, in kubeconfigs, and in names of resources."),
    hostnames: workerCluster.hostnames,
    serviceTokenHostname: hostname
      .exactOptional()
      .describe(
        "The host name for service tokens, where `access.serviceTokenHosts` is `own`. Default: the first of `hostnames` with `-ci` after its first label: `prod-ci.k8s.example.com`.",
      ),
    kubeconfig: z
      .union([
        z.literal("demo"),
        z.strictObject({
          path: kubeconfigPath.describe(
            "The file. It begins with / or ~/, because Terraform runs in its stack's folder.",
          ),
          context: nonEmpty.exactOptional().describe("The context in it. Default: the current one."),
        }),
      ])
      .exactOptional()
      .describe(
        'For Terraform; `"demo"` is the cluster of the demo stack. Without it Terraform applies nothing in the cluster: see `npx sallyport manifests`.',
      ),
    apiServer: z
      .strictObject({
        cidrs: z.array(cidr).min(1).describe("Its addresses, as networks."),
        port: z.int().min(1).max(65_535).default(443).describe("Its port."),
        serviceIps: z
          .array(z.union([z.ipv4(), z.ipv6()]))
          .exactOptional()
          .describe(
            "The ClusterIPs of the Service `kubernetes`: `kubectl -n default get service kubernetes`. Some network plugins (EKS) compare a connection with the network policy before they translate that address. Default: that of `platform`, or none.",
          ),
        platform: z
          .enum(PLATFORM_NAMES)
          .exactOptional()
          .describe("Whose cluster it is, for the network policy: the usual ClusterIP and DNS servers there."),
      })
      .describe("Where pods reach the API server: `kubectl -n default get endpointslices`."),
    connector: connectorSchema.prefault({}),
    impersonate: z
      .strictObject({
        users: z
          .union([z.literal("any"), z.array(nonEmpty).min(1)])
          .describe(
            'User names, where identities make them from claims, which RBAC cannot enumerate. `"any"` lets the connector impersonate every user, `system:kube-controller-manager` included.',
          ),
      })
      .exactOptional()
      .describe("Whom the connector's account may impersonate, where the identities do not determine it."),
    transport: workerCluster.transport.describe(
      "How sessions reach the cluster. `auto` and `tcp` have Terraform create a VPC service of type `tcp`. `auto` goes by WebSocket where that service is not there yet; `tcp` refuses to. `websocket`: no such service. Default: `auto`.",
    ),
    locationHint: workerCluster.locationHint,
    identities: asWritten(
      identities,
      "Replaces `sallyport.identities` for this cluster: a list of [identity rules](#worker-identityrule).",
    ).optional(),
    rules: asWritten(rules, "Applied before `sallyport.rules`: a list of [rules](#worker-rule).").optional(),
  })
  .meta({ id: "cluster", description: "One cluster." });

const recordSchema = z
  .strictObject({
    location: z.enum(RECORD_LOCATIONS).describe("Where the audit database and the buckets are created."),
    retentionDays: z
      .int()
      .min(1)
      .max(36_500)
      .describe(
        "For this many days R2 refuses to delete or overwrite a recording. Whoever may edit R2 can remove this lock first: see DEPLOY.md, A copy that nobody here can delete.",
      ),
    deleteAfterDays: z
      .int()
      .min(1)
      .max(36_500)
      .exactOptional()
      .describe("Recordings are deleted after this many days. Default: never."),
    sealRetentionDays: z
      .int()
      .min(1)
      .max(36_500)
      .exactOptional()
      .describe(
        "For this many days R2 refuses to delete or overwrite a seal of the audit log. Nothing deletes seals afterwards. Default: `retentionDays`.",
      ),
    export: z.boolean().default(true).describe("Create a bucket and export the audit log to it, for a SIEM."),
    protect: z
      .boolean()
      .default(true)
      .describe("`terraform destroy` refuses to destroy the audit database and the recordings."),
  })
  .refine(({ retentionDays, deleteAfterDays = 36_501 }) => deleteAfterDays > retentionDays, {
    message: "must be more than retentionDays: the bucket lock would prevent the deletion",
    path: ["deleteAfterDays"],
  });

/** For how many days seals are locked. */
export function sealRetentionDays({ sealRetentionDays: own, retentionDays }: z.output<typeof recordSchema>): number {
  return own ?? retentionDays;
}

/** The longest month. */
const MONTH_DAYS = 31;

const deploymentFields = z.strictObject({
  $schema: z.string().exactOptional().describe("The JSON Schema of this file, for editors."),
  name: label(30).describe("The name of the edge Worker, and the prefix of every other name."),
  account: z
    .string()
    .regex(/^[0-9a-f]{32}$/, "an account id: 32 hexadecimal digits, see `npx wrangler whoami`")
    .describe("The account's id: `npx wrangler whoami`."),
  access: accessSchema.describe("The Access applications in front of the edge Worker."),
  clusters: z.array(clusterSchema).min(1).describe("The clusters."),
  record: recordSchema.describe("Where the audit log and the recordings are kept, and for how long."),
  state: stateSchema.prefault({ kind: "local" }),
  demo: demoSchema
    .nullable()
    .default(null)
    .describe("A demo cluster that can be created and destroyed at any time. `null`: none."),
  sallyport: z
    .strictObject({
      identities: asWritten(
        identities,
        "Who people are in the clusters: a list of [identity rules](#worker-identityrule).",
      ),
      rules: asWritten(rules, "What they may do: a list of [rules](#worker-rule).").optional(),
      grants: asWritten(
        grants,
        "Access for a while, which people ask for and others approve: a list of [grants](#worker-grant).",
      ).optional(),
      limits: asWritten(limits, "Limits of sessions: [limits](#worker-limits).").optional(),
      audit: asWritten(
        audit,
        "What the audit log contains: `audit` of [the Worker's configuration](#worker).",
      ).optional(),
      recording: asWritten(recording, "How sessions are recorded: [recording](#worker-recording).").optional(),
      portForward: asWritten(
        portForward,
        "How port-forwards are followed: [portForward](#worker-portforward).",
      ).optional(),
      loopbackOrigins: asWritten(
        loopbackOrigins,
        "Web pages on people's own machines: `loopbackOrigins` of [the Worker's configuration](#worker).",
      ).optional(),
      export: asWritten(exported, "Where in the bucket the export writes: [export](#worker-export).").optional(),
    })
    .describe("Other fields of the Worker's configuration."),
});

export const deploymentSchema = deploymentFields.superRefine(({ record, sallyport }, context) => {
  const keepMonths = sallyport.audit?.seal?.keepMonths ?? null;
  if (keepMonths === null) return;
  // The lock counts from when an object was written, which is before its range is sealed and the months
  // begin.
  const leastDays = keepMonths * MONTH_DAYS + MAX_UNSEALED_DAYS;
  if (sealRetentionDays(record) >= leastDays) return;
  context.addIssue({
    code: "custom",
    message: `must be at least ${leastDays}: rows leave D1 after ${keepMonths} months, and the seal is then their only copy`,
    path: ["record", record.sealRetentionDays === undefined ? "retentionDays" : "sealRetentionDays"],
  });
});

export type Deployment = z.output<typeof deploymentSchema>;
export type DeploymentInput = z.input<typeof deploymentSchema>;
export type DeployedCluster = Deployment["clusters"][number];
