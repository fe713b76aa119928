/** Identity rules: whom a token makes of its bearer in the cluster. */
import * as z from "zod";
import { kubernetesName, limitOverrides, nonEmpty, recordingOverrides } from "./shared-fields.ts";
import { findTemplateError } from "./template.ts";

const emailDomain = nonEmpty.regex(/^[^@\s]+\.[^@\s]+$/, "a domain without the @, e.g. example.com");

/** What a rule looks at: all that it names must hold. */
const matchSchema = z
  .strictObject({
    email: z.email().exactOptional().describe("This address, without regard to case."),
    emailDomain: emailDomain.exactOptional().describe("Addresses of exactly this domain, no subdomain."),
    group: nonEmpty.exactOptional().describe("A group of the identity provider's, from where `access.groups` says."),
    claim: nonEmpty
      .exactOptional()
      .describe(
        "A claim of the Access token, dotted for nested ones, e.g. `custom.department`, together with `value`.",
      ),
    value: nonEmpty.exactOptional().describe("Equals the claim, or is one of its values when the claim is a list."),
    serviceToken: nonEmpty
      .exactOptional()
      .describe("The common name of an Access service token: its client id, e.g. `2f1a….access`."),
    country: z
      .array(z.string().regex(/^[A-Z][A-Z0-9]$/, "two capital letters, as in DE"))
      .min(1)
      .exactOptional()
      .describe(
        "Where the person signed in and where the request comes from, both: ISO 3166 codes, one of which must fit.",
      ),
    posture: nonEmpty
      .exactOptional()
      .describe("The name or id of a device posture check that must have succeeded; asks get-identity."),
  })
  .superRefine((match, context) => {
    const fault = (message: string) => context.addIssue({ code: "custom", message });
    if ((match.claim === undefined) !== (match.value === undefined)) fault("claim and value go together");
    const { email, emailDomain, group, claim, serviceToken } = match;
    const people = [email, emailDomain, group, claim].filter((part) => part !== undefined).length;
    if (people === 0 && serviceToken === undefined) {
      fault("name at least one of email, emailDomain, group, claim or serviceToken: country and posture only narrow");
    }
    if (serviceToken !== undefined && (email ?? emailDomain ?? group ?? match.posture) !== undefined) {
      fault("a service token has no email, group or device");
    }
  })
  .meta({ id: "identityMatch", description: "Whom an identity rule is for: all that it names must hold." });

export const identityRuleSchema = z
  .strictObject({
    match: matchSchema,
    user: kubernetesName
      .optional()
      .describe(
        "Kubernetes user name. `{email}`, `{email.local}` (what is before the @), `{common_name}`, `{sub}` and any claim in braces are put in. Without it: the email address in lower case, or `service:{common_name}`.",
      ),
    groups: z
      .array(kubernetesName)
      .default([])
      .describe("Kubernetes groups. `system:authenticated` is added by the API server."),
    extra: z
      .record(
        z.string().regex(/^[a-z0-9][a-z0-9./_-]{0,127}$/, "lower case, as Kubernetes keeps it"),
        z.array(kubernetesName).min(1),
      )
      .default({})
      .refine((extra) => !Object.hasOwn(extra, "sallyport-session"), {
        message: "sallyport-session is Sallyport's own",
      })
      .describe(
        "More about the identity, for the cluster's audit log and authorizers: sent as `Impersonate-Extra-…`. `sallyport-session` is taken.",
      ),
    roles: z
      .array(z.enum(["admin", "auditor"]))
      .default([])
      .describe(
        "Roles in Sallyport itself: `auditor` reads sessions, recordings and locks; `admin` also ends and locks.",
      ),
    limits: limitOverrides,
    recording: recordingOverrides,
  })
  .superRefine(({ match, user }, context) => {
    const fault = user === undefined ? undefined : findTemplateError(user, match);
    if (fault) context.addIssue({ code: "custom", message: fault, path: ["user"] });
  })
  .meta({
    id: "identityRule",
    description: "Whom a token makes of its bearer in the cluster. The first that matches decides, whole.",
  });

export type IdentityRule = z.output<typeof identityRuleSchema>;
export type Role = IdentityRule["roles"][number];
