/**
 * The deployment file: everything that one deployment is made from. Strict throughout, like the Worker's own document, whose
 * schemas judge the parts of it that stand here (identities, rules, limits, …), so that each fact has one place.
 */
import * as z from "zod";
import { configSchema } from "../../worker/config/schema.ts";
import { nonEmpty } from "../../worker/config/shared-fields.ts";
import { duration, requirementList, uuid, whoList } from "./access.ts";
import { demoSchema } from "./demo.ts";
import { stateSchema } from "./state.ts";

const { access, identities, rules, limits, audit, recording, export: exported, clusters } = configSchema.shape;
const workerCluster = clusters.unwrap().element.shape;

/**
 * Judged by the Worker's schema, kept as it was written: with all its defaults the Worker's document would be several times
 * as long, and a variable holds 5 KB.
 *
 * @param meaning for docs/CONFIGURATION.md, where the Worker's own document has the fields
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

/** What names of resources, namespaces and Workers all allow. */
const label = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[a-z]([a-z0-9-]*[a-z0-9])?$/, "lower case letters, digits and dashes, beginning with a letter");

/** https://developers.cloudflare.com/r2/reference/data-location/ and, with the same names, D1's. */
export const RECORD_LOCATIONS = ["wnam", "enam", "weur", "eeur", "apac", "oc"] as const;

const cidr = z.union([z.cidrv4(), z.cidrv6()], { error: "a network such as 10.0.0.1/32" });

/** Pinned, or a rollout would bring whatever the registry holds that day. */
const pinnedImage = z
  .string()
  .regex(/^[a-z0-9][a-z0-9./_:-]*(:(?!latest(@|$))[\w][\w.-]*(@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/, {
    message: "an image with a version or a digest, and not :latest",
  });

/** Terraform runs elsewhere, in its stack's folder. */
const kubeconfigPath = z.string().regex(/^(~?\/)./, "a path that begins with / or ~/");

const accessSchema = z.strictObject({
  teamDomain: access.shape.teamDomain
    .refine((url) => url.startsWith("https://"), { message: "must be https://" })
    .describe("`https://<team>.cloudflareaccess.com`."),
  sessionDuration: duration.default("8h").describe("How long a sign-in lasts."),
  allow: whoList.describe("Who may come in."),
  require: requirementList
    .default([])
    .describe("What people must have besides, such as a device posture check. All of these."),
  admins: whoList.describe("Who reaches `/-/admin`. What they may do there, the roles of `sallyport.identities` say."),
  adminRequire: requirementList.default([]).describe("What they must have besides."),
  adminSessionDuration: duration.default("1h").describe("How long their sign-in for `/-/admin` lasts."),
  warp: z
    .boolean()
    .default(true)
    .describe(
      "A session of the Cloudflare One client (WARP) counts as a sign-in: it is how plain kubectl gets in. Not for admins.",
    ),
  identityProviders: z
    .array(uuid)
    .default([])
    .describe("Identity providers that people may choose from, by id. Where it is empty: all of the account's."),
  serviceTokens: z.array(label(40)).default([]).describe("Made here; rules and policies speak of them by these names."),
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
        "Cloudflare takes 25 connectors a tunnel; fewer than three are no high availability while one is being replaced.",
      ),
    namespace: label(63).exactOptional().describe("Where it runs. Without it: the deployment's name."),
    metricsFrom: label(63).exactOptional().describe("The namespace that may read metrics. Without it none may."),
    networkPolicy: z
      .boolean()
      .default(true)
      .describe("Off for clusters whose network plugin has policies of its own kind for the API server (Cilium)."),
    dns: z
      .array(cidr)
      .default([])
      .describe("Networks of DNS servers besides those in kube-system and the node's own cache."),
    images: z
      .strictObject({
        cloudflared: pinnedImage.exactOptional().describe("The tunnel's image, with a version or a digest."),
        kubectl: pinnedImage.exactOptional().describe("The sidecar's, likewise."),
      })
      .default({})
      .describe("From your own registry; the versions must be the same ones or later."),
  })
  .meta({ id: "connector", description: "What runs in the cluster: cloudflared and its sidecar." });

const clusterSchema = z
  .strictObject({
    name: label(40).describe("In the record, in rules, in kubeconfigs, and in the names of what is made for it."),
    hostnames: workerCluster.hostnames,
    kubeconfig: z
      .union([
        z.literal("demo"),
        z.strictObject({
          path: kubeconfigPath.describe("The file: Terraform runs in its stack's folder, so it begins with / or ~/."),
          context: nonEmpty.exactOptional().describe("The context in it. Without it: the current one."),
        }),
      ])
      .exactOptional()
      .describe(
        'For Terraform; `"demo"` is the cluster that the demo stack makes. Without it nothing is applied: see `npm run manifests`.',
      ),
    apiServer: z
      .strictObject({
        cidrs: z.array(cidr).min(1).describe("Its addresses, as networks."),
        port: z.int().min(1).max(65_535).default(443).describe("Its port there."),
      })
      .describe("Where pods find the API server, past the Service: `kubectl -n default get endpointslices`."),
    connector: connectorSchema.prefault({}),
    impersonate: z
      .strictObject({
        users: z
          .union([z.literal("any"), z.array(nonEmpty).min(1)])
          .describe(
            'User names. Needed where identities make them from claims, which RBAC cannot enumerate: these names and no others, or `"any"`, which lets the connector be every user name that RBAC knows, `system:kube-controller-manager` included.',
          ),
      })
      .exactOptional()
      .describe("Whom the connector's account may impersonate, where that does not follow from the identities."),
    locationHint: workerCluster.locationHint,
    identities: asWritten(
      identities,
      "In place of `sallyport.identities`: a list of [identity rules](#worker-identityrule).",
    ).optional(),
    rules: asWritten(rules, "Before `sallyport.rules`: a list of [rules](#worker-rule).").optional(),
  })
  .meta({ id: "cluster", description: "One cluster." });

const recordSchema = z
  .strictObject({
    location: z.enum(RECORD_LOCATIONS).describe("Where the audit database and the buckets are made."),
    retentionDays: z
      .int()
      .min(1)
      .max(36_500)
      .describe("Nobody deletes or overwrites a recording before, Cloudflare's own dashboard included."),
    deleteAfterDays: z
      .int()
      .min(1)
      .max(36_500)
      .exactOptional()
      .describe("Recordings are deleted then. Without it: never."),
    export: z.boolean().default(true).describe("A bucket to which the record is exported for a SIEM."),
    protect: z
      .boolean()
      .default(true)
      .describe("`terraform destroy` stops before the audit database and the recordings."),
  })
  .refine(({ retentionDays, deleteAfterDays = 36_501 }) => deleteAfterDays > retentionDays, {
    message: "must be more than retentionDays: the lock would forbid the deletion",
    path: ["deleteAfterDays"],
  });

export const deploymentSchema = z.strictObject({
  $schema: z.string().exactOptional().describe("For editors: where the JSON Schema of this file is."),
  name: label(30).describe("The Worker's name, and the prefix of all else."),
  account: z
    .string()
    .regex(/^[0-9a-f]{32}$/, "an account id: 32 hexadecimal digits, see `npx wrangler whoami`")
    .describe("The account's id: `npx wrangler whoami`."),
  access: accessSchema.describe("The Access applications that stand before the Worker."),
  clusters: z.array(clusterSchema).min(1).describe("The clusters behind it."),
  record: recordSchema.describe("Where the record and the recordings are kept, and for how long."),
  state: stateSchema.prefault({ kind: "local" }),
  demo: demoSchema
    .nullable()
    .default(null)
    .describe("The demo cluster: somewhere to try things, made and destroyed at will. `null`: none."),
  sallyport: z
    .strictObject({
      identities: asWritten(identities, "Who somebody is: a list of [identity rules](#worker-identityrule)."),
      rules: asWritten(rules, "What they may do: a list of [rules](#worker-rule).").optional(),
      limits: asWritten(limits, "What a session may use: [limits](#worker-limits).").optional(),
      audit: asWritten(audit, "What is on record: `audit` of [the Worker's document](#worker).").optional(),
      recording: asWritten(recording, "How sessions are recorded: [recording](#worker-recording).").optional(),
      export: asWritten(exported, "Where in the export's bucket: [export](#worker-export).").optional(),
    })
    .describe("The rest of the Worker's document, as it is."),
});

export type Deployment = z.output<typeof deploymentSchema>;
export type DeploymentInput = z.input<typeof deploymentSchema>;
export type DeployedCluster = Deployment["clusters"][number];
