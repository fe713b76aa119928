/** Identity rules: who the bearer of a token is in the cluster. */
import * as z from "zod";
import { RESERVED_EXTRAS } from "./reserved-extras.ts";
import { isReservedName } from "./reserved-names.ts";
import { kubernetesName, limitOverrides, nonEmpty, recordingOverrides } from "./shared-fields.ts";
import { findTemplateError } from "./template.ts";

const emailDomain = nonEmpty.regex(/^[^@\s]+\.[^@\s]+$/, "a domain without the @, e.g. example.com");

/** Everything that a match names must hold. */
export const identityMatchSchema = z
  .strictObject({
    email: z.email().exactOptional().describe("This address, without regard to case."),
    emailDomain: emailDomain.exactOptional().describe("Addresses of exactly this domain, not of its subdomains."),
    group: nonEmpty
      .exactOptional()
      .describe(
        "A group at the identity provider, by its id. `access.groups` says where groups come from. A group that has only one text there is matched by it.",
      ),
    groupName: nonEmpty
      .exactOptional()
      .describe(
        "A group by its name or email address. Names are not unique: whoever may create or rename a group at the identity provider can take one. Prefer `group`.",
      ),
    claim: nonEmpty
      .exactOptional()
      .describe("A claim of the Access token, with dots for nested ones, e.g. `custom.department`. Needs `value`."),
    value: nonEmpty.exactOptional().describe("Equals the claim, or one of its values if the claim is a list."),
    serviceToken: nonEmpty
      .exactOptional()
      .describe("The common name of an Access service token: its client id, e.g. `2f1a….access`."),
    country: z
      .array(z.string().regex(/^[A-Z][A-Z0-9]$/, "two capital letters, as in DE"))
      .min(1)
      .exactOptional()
      .describe("Countries (ISO 3166). Both the sign-in and the request must come from one of them."),
    posture: nonEmpty
      .exactOptional()
      .describe(
        "The name or id of a device posture check that must have passed. Access is asked for it (get-identity).",
      ),
  })
  .superRefine((match, context) => {
    const addIssue = (message: string) => context.addIssue({ code: "custom", message });
    if ((match.claim === undefined) !== (match.value === undefined)) addIssue("claim and value go together");
    const { email, emailDomain, group, groupName, claim, serviceToken } = match;
    const people = [email, emailDomain, group, groupName, claim].filter((part) => part !== undefined).length;
    if (people === 0 && serviceToken === undefined) {
      addIssue(
        "name at least one of email, emailDomain, group, groupName, claim or serviceToken: country and posture only narrow a rule",
      );
    }
    if (serviceToken !== undefined && (email ?? emailDomain ?? group ?? groupName ?? match.posture) !== undefined) {
      addIssue("a service token has no email, group or device");
    }
  })
  .meta({ id: "identityMatch", description: "Whom an identity rule is for. Everything that it names must hold." });

/**
 * A name that somebody may take, exact because the connector's role lists it. No name of Kubernetes' own:
 * with `system:masters`, a node's or a controller's a person would be as good as cluster-admin, past every
 * rule.
 */
export const exactName = kubernetesName
  .refine((name) => !/[*{},]/.test(name), { message: "must be an exact name: no pattern, placeholder or comma" })
  .refine((name) => !isReservedName(name), {
    message: "Kubernetes reserves names that begin with system: give the rights to a name of your own",
  });

const mayImpersonateSchema = z
  .strictObject({
    users: z.array(exactName).default([]).describe("Users that they may be, with `kubectl --as`."),
    groups: z
      .array(exactName)
      .default([])
      .describe("Groups that they may have besides their own, with `kubectl --as=… --as-group`."),
  })
  .refine(({ users, groups }) => users.length + groups.length > 0, { message: "name at least one user or group" })
  .default({ users: [], groups: [] })
  .describe(
    "Other identities that they may be in the cluster, by exact names that do not begin with `system:`. Their own user, with fewer of their own groups, needs no entry.",
  )
  .meta({ id: "mayImpersonate" });

export const identityRuleSchema = z
  .strictObject({
    match: identityMatchSchema,
    user: kubernetesName
      .optional()
      .describe(
        "Kubernetes user name. `{email}`, `{email.local}` (the part before the @), `{common_name}`, `{sub}` and any claim in braces are filled in. Default: the email address in lower case, or `service:{common_name}`.",
      ),
    groups: z
      .array(kubernetesName)
      .default([])
      .describe("Kubernetes groups. `system:authenticated` is added by the API server."),
    extra: z
      .record(
        z.string().regex(/^[a-z0-9][a-z0-9./_-]{0,127}$/, "lower case, as Kubernetes stores it"),
        z.array(kubernetesName).min(1),
      )
      .default({})
      .superRefine((extra, context) => {
        for (const key of RESERVED_EXTRAS.filter((reserved) => Object.hasOwn(extra, reserved))) {
          context.addIssue({ code: "custom", message: `${key} is reserved for Sallyport` });
        }
      })
      .describe(
        "Extra fields of the user, for the cluster's audit log and authorizers, sent as `Impersonate-Extra-…`. `sallyport-session`, `sallyport-user` and `sallyport-grant` are reserved.",
      ),
    mayImpersonate: mayImpersonateSchema,
    roles: z
      .array(z.enum(["admin", "auditor"]))
      .default([])
      .describe(
        "Roles in Sallyport itself: `auditor` reads sessions, recordings and locks. `admin` also ends sessions and locks users.",
      ),
    limits: limitOverrides,
    recording: recordingOverrides,
  })
  .superRefine(({ match, user }, context) => {
    const message = user === undefined ? undefined : findTemplateError(user, match);
    if (message) context.addIssue({ code: "custom", message, path: ["user"] });
  })
  .meta({
    id: "identityRule",
    description: "Who the bearer of a token is in the cluster. The first rule that matches decides alone.",
  });

export type IdentityRule = z.output<typeof identityRuleSchema>;
export type Role = IdentityRule["roles"][number];
