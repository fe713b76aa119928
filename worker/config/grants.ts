/** Grants: access for a while, which people ask for and others approve. */
import * as z from "zod";
import { MAX_GRANT_MINUTES } from "../../audit/access-events.ts";
import { exactName, identityMatchSchema } from "./identities.ts";
import { nonEmpty } from "./shared-fields.ts";

/** More approvers than these nobody finds in time. */
const MAX_APPROVALS = 10;

/** It travels in a header, in the query of a request, and in commands that people type. */
const grantName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/, "lower case letters, digits, dots, dashes and underscores");

const ruleName = nonEmpty.max(100);

const givesSchema = z
  .strictObject({
    groups: z
      .array(exactName)
      .default([])
      .describe("Kubernetes groups that they have meanwhile, by exact names that do not begin with `system:`."),
    rules: z
      .array(ruleName)
      .default([])
      .describe("Names of rules with `approval` that count as approved meanwhile, whichever grant each asks for."),
  })
  .refine(({ groups, rules }) => groups.length + rules.length > 0, {
    message: "gives nothing: name at least one group or rule",
  })
  .meta({ id: "grantGives", description: "What a grant gives." });

const approversSchema = z
  .strictObject({
    roles: z
      .array(z.enum(["admin", "auditor"]))
      .default([])
      .describe("Holders of these roles, by the document's own `identities`."),
    groups: z
      .array(nonEmpty)
      .default([])
      .describe("Members of these groups at the identity provider, by id, as `match.group` compares them."),
    users: z.array(z.email().toLowerCase()).default([]).describe("These people, without regard to case."),
  })
  .refine(({ roles, groups, users }) => roles.length + groups.length + users.length > 0, {
    message: "nobody could approve: name at least one role, group or user",
  })
  .meta({
    id: "grantApprovers",
    description:
      "Who may approve, deny and revoke. One of them that holds is enough; it is looked up when somebody decides. Nobody decides about their own request, and no service token decides.",
  });

export const grantSchema = z
  .strictObject({
    name: grantName.describe("What people ask for. Unique; in the audit log and in the cluster's."),
    for: z
      .array(identityMatchSchema)
      .min(1)
      .describe(
        "Who may ask for it, and have it: one of these must hold, also whenever it is used. A service token may be granted something.",
      ),
    gives: givesSchema,
    approvers: approversSchema,
    count: z.int().min(1).max(MAX_APPROVALS).default(1).describe("How many different people must approve."),
    maxMinutes: z.int().min(1).max(MAX_GRANT_MINUTES).default(60).describe("For how many minutes at most it is given."),
    requireReason: z.boolean().default(false).describe("Whoever asks must say why."),
    selfApproval: z
      .literal("with-alert")
      .exactOptional()
      .describe(
        "Break-glass: it holds as soon as somebody asks, without an approval. The audit log marks it (`self_approved`). Only with a `count` of 1, and never for a service token.",
      ),
  })
  .superRefine(({ selfApproval, count, for: matches }, context) => {
    if (selfApproval === undefined) return;
    const addIssue = (message: string) => context.addIssue({ code: "custom", message, path: ["selfApproval"] });
    if (count !== 1) addIssue("is only for a count of 1: with more, somebody else must approve anyway");
    if (matches.every(({ serviceToken }) => serviceToken !== undefined)) {
      addIssue("is for people: a service token never approves anything");
    }
  })
  .meta({
    id: "grant",
    description:
      "Access for a while: somebody asks, others approve. It holds in all clusters. What it gives is read from the document that is in force, so one that is removed here gives nothing to new requests and sessions, and ends what is open within minutes.",
  });

export type Grant = z.output<typeof grantSchema>;
