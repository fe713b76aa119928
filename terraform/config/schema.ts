/**
 * The deployment file: everything that one deployment is made from. Strict throughout, like the Worker's own document, whose
 * schemas judge the parts of it that stand here (identities, rules, limits, …), so that each fact has one place.
 */
import * as z from "zod";
import { nonEmpty } from "../../worker/config/parts.ts";
import { configSchema } from "../../worker/config/schema.ts";
import { duration, requirementList, uuid, whoList } from "./access.ts";
import { demoSchema } from "./demo.ts";
import { stateSchema } from "./state.ts";

const { access, identities, rules, limits, audit, recording, clusters } = configSchema.shape;
const workerCluster = clusters.unwrap().element.shape;

/**
 * Judged by the Worker's schema, kept as it was written: with all its defaults the Worker's document would be several times
 * as long, and a variable holds 5 KB.
 */
function asWritten<S extends z.ZodType>(schema: S) {
  return z.custom<z.input<S>>().superRefine((value, context) => {
    for (const { message, path } of schema.safeParse(value).error?.issues ?? []) {
      context.addIssue({ code: "custom", message, path: [...path] });
    }
  });
}

/** What names of resources, namespaces and Workers all allow. */
const label = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[a-z]([a-z0-9-]*[a-z0-9])?$/, "lower case letters, digits and dashes, beginning with a letter");

/** https://developers.cloudflare.com/r2/reference/data-location/ and, with the same names, D1's. */
export const RECORD_LOCATIONS = ["wnam", "enam", "weur", "eeur", "apac", "oc"] as const;
/** https://developers.cloudflare.com/durable-objects/reference/data-location/ */
export const LOCATION_HINTS = [...RECORD_LOCATIONS, "sam", "apac-ne", "apac-se", "afr", "me"] as const;

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
  /** `https://<team>.cloudflareaccess.com`. */
  teamDomain: access.shape.teamDomain.refine((url) => url.startsWith("https://"), { message: "must be https://" }),
  /** How long a sign-in lasts. */
  sessionDuration: duration.default("8h"),
  allow: whoList,
  /** What people must have besides, such as a device posture check. */
  require: requirementList.default([]),
  /** Who reaches `/-/admin`. What they may do there, the roles of `sallyport.identities` say. */
  admins: whoList,
  adminRequire: requirementList.default([]),
  adminSessionDuration: duration.default("1h"),
  /** A session of the Cloudflare One client (WARP) counts as a sign-in: it is how plain kubectl gets in. Not for admins. */
  warp: z.boolean().default(true),
  /** Identity providers that people may choose from, by id. Default: all of the account's. */
  identityProviders: z.array(uuid).default([]),
  /** Made here; rules and policies speak of them by these names. */
  serviceTokens: z.array(label(40)).default([]),
  groups: access.shape.groups,
});

const connectorSchema = z.strictObject({
  /** Cloudflare takes 25 connectors a tunnel; fewer than three are no high availability while one is being replaced. */
  replicas: z.int().min(3).max(25).default(3),
  /** Default: the deployment's name. */
  namespace: label(63).exactOptional(),
  /** The namespace that may read metrics. Default: none may. */
  metricsFrom: label(63).exactOptional(),
  /** Default: on. Off for clusters whose network plugin has policies of its own kind for the API server (Cilium). */
  networkPolicy: z.boolean().default(true),
  /** Networks of DNS servers besides those in kube-system and the node's own cache. */
  dns: z.array(cidr).default([]),
  /** From your own registry; the versions must be the same ones or later. */
  images: z
    .strictObject({ cloudflared: pinnedImage.exactOptional(), kubectl: pinnedImage.exactOptional() })
    .default({}),
});

const clusterSchema = z.strictObject({
  /** In the record, in rules, in kubeconfigs, and in the names of what is made for it. */
  name: label(40),
  hostnames: workerCluster.hostnames,
  /** For Terraform; `"demo"` is the cluster that the demo stack makes. Without it nothing is applied: see `npm run manifests`. */
  kubeconfig: z
    .union([z.literal("demo"), z.strictObject({ path: kubeconfigPath, context: nonEmpty.exactOptional() })])
    .exactOptional(),
  /** Where pods find the API server, past the Service: `kubectl -n default get endpointslices`. */
  apiServer: z.strictObject({ cidrs: z.array(cidr).min(1), port: z.int().min(1).max(65_535).default(443) }),
  connector: connectorSchema.prefault({}),
  /** Whom the connector's account may impersonate, where that does not follow from the identities. */
  impersonate: z
    .strictObject({
      /**
       * User names. Needed where identities make them from claims, which RBAC cannot enumerate: these names and no others, or
       * `"any"`, which lets the connector be every user name that RBAC knows, `system:kube-controller-manager` included.
       */
      users: z.union([z.literal("any"), z.array(nonEmpty).min(1)]),
    })
    .exactOptional(),
  /** Where its users' sessions are held. Default: near each user. */
  locationHint: z.enum(LOCATION_HINTS).exactOptional(),
  /** In place of `sallyport.identities`. */
  identities: asWritten(identities).optional(),
  /** Before `sallyport.rules`. */
  rules: asWritten(rules).optional(),
});

const recordSchema = z
  .strictObject({
    /** Where the audit database and the buckets are made. */
    location: z.enum(RECORD_LOCATIONS),
    /** Nobody deletes or overwrites a recording before, Cloudflare's own dashboard included. */
    retentionDays: z.int().min(1).max(36_500),
    /** Recordings are deleted then. Default: never. */
    deleteAfterDays: z.int().min(1).max(36_500).exactOptional(),
    /** A bucket to which the record is exported for a SIEM. */
    export: z.boolean().default(true),
    /** `terraform destroy` stops before the audit database and the recordings. */
    protect: z.boolean().default(true),
  })
  .refine(({ retentionDays, deleteAfterDays = 36_501 }) => deleteAfterDays > retentionDays, {
    message: "must be more than retentionDays: the lock would forbid the deletion",
    path: ["deleteAfterDays"],
  });

export const deploymentSchema = z.strictObject({
  $schema: z.string().exactOptional(),
  /** The Worker's name, and the prefix of all else. */
  name: label(30),
  account: z.string().regex(/^[0-9a-f]{32}$/, "an account id: 32 hexadecimal digits, see `npx wrangler whoami`"),
  access: accessSchema,
  clusters: z.array(clusterSchema).min(1),
  record: recordSchema,
  /** Where Terraform keeps its state. */
  state: stateSchema.prefault({ kind: "local" }),
  demo: demoSchema.nullable().default(null),
  /** The rest of the Worker's document, as it is. */
  sallyport: z.strictObject({
    identities: asWritten(identities),
    rules: asWritten(rules).optional(),
    limits: asWritten(limits).optional(),
    audit: asWritten(audit).optional(),
    recording: asWritten(recording).optional(),
  }),
});

export type Deployment = z.output<typeof deploymentSchema>;
export type DeploymentInput = z.input<typeof deploymentSchema>;
export type DeployedCluster = Deployment["clusters"][number];
