/** The caller, as `GET /-/whoami` answers. */
import * as z from "zod";
import { limitsSchema, recordingSchema } from "../../config/shared-fields.ts";
import { time } from "./shared.ts";

export const whoami = z
  .strictObject({
    identity: z.string().describe("The Access identity: an email address, or `service:<client id>`."),
    kind: z.enum(["person", "service token"]).describe("Whose token it is."),
    cluster: z.string().nullable().describe("The cluster of the host name that was asked."),
    rule: z.string().describe("The identity rule that matched, `identities[0]` for the first."),
    kubernetes: z
      .strictObject({
        user: z.string().describe("The user."),
        groups: z.array(z.string()).readonly().describe("The groups."),
        uid: z.string().nullable().describe("The Access subject. Null for a service token."),
        extra: z
          .record(z.string(), z.array(z.string()).readonly())
          .describe("For the cluster's audit log and authorizers."),
      })
      .describe("Whom the cluster sees."),
    mayImpersonate: z
      .strictObject({
        users: z.array(z.string()).readonly().describe("Other users that `kubectl --as` may name."),
        groups: z.array(z.string()).readonly().describe("Groups that `kubectl --as-group` may name besides one's own."),
      })
      .describe("Whom else the cluster may see, if the caller asks for it."),
    roles: z
      .array(z.enum(["admin", "auditor"]))
      .readonly()
      .describe("Roles in Sallyport, by the document's own identities: they hold for all clusters."),
    approves: z.array(z.string()).describe("Names of the grants that the caller may approve, deny and revoke."),
    adminSignIn: z
      .boolean()
      .describe("Whether `/-/admin/` is behind an Access application of its own, where one signs in for it."),
    version: z.string().nullable().describe("Cloudflare's id of the Worker's version. Null: it is not bound."),
    identityProviderGroups: z
      .array(z.string())
      .readonly()
      .describe("The ids of groups, for `group` in identity rules."),
    identityProviderGroupNames: z
      .array(z.string())
      .readonly()
      .describe("The names and email addresses of groups, for `groupName`."),
    limits: limitsSchema,
    recording: recordingSchema,
    tokenExpiresAt: time.describe("When the Access token expires."),
    clusters: z
      .array(
        z.strictObject({
          name: z.string().describe("The cluster's name in the configuration."),
          hostnames: z.array(z.string()).readonly().describe("Its host names. Empty: any."),
        }),
      )
      .describe("The clusters that the caller may reach."),
  })
  .meta({ id: "Whoami", description: "Who the caller is." });
