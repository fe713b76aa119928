/**
 * The one configuration document, `SALLYPORT_CONFIG`, as its operators write it.
 *
 * Every object is strict: a field this version does not know is an error at start, never silently
 * ignored, because a misspelt `idleTimeoutSeconds` must not become "no limit".
 */
import * as z from "zod";
import { DEFAULT_MAX_CAST_BYTES } from "../../durable/recording/policy.ts";

const nonEmpty = z.string().trim().min(1);

/** Loopback is where the local stack's Access stand-in lives; anything else must be TLS. */
const issuerUrl = z
  .url({ protocol: /^https?$/ })
  .refine((url) => url.startsWith("https://") || /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(url), {
    message: "must be https:// (plain http is accepted on loopback only)",
  })
  .refine((url) => !url.endsWith("/"), { message: "must not end with a slash: it is compared with the token's iss" });

const accessSchema = z.strictObject({
  /** The team's domain, which is also the tokens' `iss`, e.g. `https://example.cloudflareaccess.com`. */
  teamDomain: issuerUrl,
  /** Audience tags of the Access applications in front of this Worker. A token must carry one of them. */
  audiences: z.array(nonEmpty).min(1),
});

/** What a rule looks at. Exactly one of these: a rule reads as one sentence. */
const matchSchema = z.union([
  z.strictObject({ email: z.email() }),
  z.strictObject({ emailDomain: nonEmpty.regex(/^[^@\s]+\.[^@\s]+$/, "a domain without the @, e.g. example.com") }),
  z.strictObject({
    /** A claim of the Access token, dotted for nested ones, e.g. `custom.groups`. */
    claim: nonEmpty,
    /** Equals the claim, or is one of its values when the claim is a list. */
    value: nonEmpty,
  }),
]);

/** `system:` names carry power that no mapping should hand out by accident. */
const kubernetesName = nonEmpty
  .max(256)
  .regex(/^[\x21-\x7e]+$/, "printable ASCII without spaces: it travels in an HTTP header")
  .refine((name) => !name.startsWith("system:"), { message: "system: names are reserved by Kubernetes" });

const seconds = (least: number, most: number) => z.int().min(least).max(most);

const limitFields = {
  /** Sessions at once per user. The platform's documented ceiling of outgoing connections is 6. */
  maxSessionsPerUser: z.int().min(1).max(50),
  /** A session without input or output for so long is ended. */
  idleTimeoutSeconds: seconds(1, 14_400),
  /** No session lasts longer than this, however busy. */
  maxDurationSeconds: seconds(1, 86_400),
  /** A session whose reader takes nothing for so long, although something waits for it, is ended. */
  stallTimeoutSeconds: seconds(1, 120),
};

const recordingFields = {
  /** `output`: what exec, attach and console sessions show. `full`: also what is typed, passwords included. */
  mode: z.enum(["off", "output", "full"]),
  /** What becomes of a session that cannot be recorded, or not any further. */
  onFailure: z.enum(["continue", "end"]),
  /** What becomes of a session whose recording has reached `maxBytes`. */
  onFull: z.enum(["continue", "end"]),
  /** The largest recording. What comes after is not in it, and it says so. */
  maxBytes: z
    .int()
    .min(64 * 1024)
    .max(1024 * 1024 * 1024),
};

const identityRuleSchema = z.strictObject({
  match: matchSchema,
  /** Kubernetes user name. Default: the email address. */
  user: kubernetesName.optional(),
  /** Kubernetes groups. `system:authenticated` is added by the API server. */
  groups: z.array(kubernetesName).default([]),
  /** Roles in Sallyport itself. `admin` may list and end everybody's sessions. */
  roles: z.array(z.enum(["admin"])).default([]),
  /** In place of the document's own `limits`, field by field. */
  limits: z
    .strictObject({
      maxSessionsPerUser: limitFields.maxSessionsPerUser.exactOptional(),
      idleTimeoutSeconds: limitFields.idleTimeoutSeconds.exactOptional(),
      maxDurationSeconds: limitFields.maxDurationSeconds.exactOptional(),
      stallTimeoutSeconds: limitFields.stallTimeoutSeconds.exactOptional(),
    })
    .default({}),
  /** In place of the document's own `recording`, field by field. */
  recording: z
    .strictObject({
      mode: recordingFields.mode.exactOptional(),
      onFailure: recordingFields.onFailure.exactOptional(),
      onFull: recordingFields.onFull.exactOptional(),
      maxBytes: recordingFields.maxBytes.exactOptional(),
    })
    .default({}),
});

const limitsSchema = z.strictObject({
  maxSessionsPerUser: limitFields.maxSessionsPerUser.default(6),
  idleTimeoutSeconds: limitFields.idleTimeoutSeconds.default(1_800),
  maxDurationSeconds: limitFields.maxDurationSeconds.default(28_800),
  stallTimeoutSeconds: limitFields.stallTimeoutSeconds.default(30),
});

const auditSchema = z.strictObject({
  /**
   * While D1 does not take events: `buffer` lets sessions go on and queues their events in the user's object;
   * `fail-closed` opens no session whose start is not in D1.
   */
  onOutage: z.enum(["buffer", "fail-closed"]).default("buffer"),
  /** No new session once so many of a user's events wait for D1. */
  maxQueuedEvents: z.int().min(10).max(100_000).default(5_000),
});

const recordingSchema = z.strictObject({
  mode: recordingFields.mode.default("output"),
  onFailure: recordingFields.onFailure.default("continue"),
  onFull: recordingFields.onFull.default("continue"),
  maxBytes: recordingFields.maxBytes.default(DEFAULT_MAX_CAST_BYTES),
});

export const configSchema = z.strictObject({
  access: accessSchema,
  /** The cluster's name in the audit trail. */
  cluster: nonEmpty.max(253),
  /** First match wins; no match is a refusal. */
  identities: z.array(identityRuleSchema).min(1),
  limits: limitsSchema.prefault({}),
  audit: auditSchema.prefault({}),
  recording: recordingSchema.prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;
export type IdentityRule = z.output<typeof identityRuleSchema>;
export type Limits = z.output<typeof limitsSchema>;
export type Role = IdentityRule["roles"][number];
