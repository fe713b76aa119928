/** Rules on what somebody may do here, beyond what the cluster's RBAC says. */
import * as z from "zod";
import { SESSION_KINDS } from "../../kubernetes/session-target.ts";
import { limitOverrides, nonEmpty, pattern, recordingOverrides } from "./shared-fields.ts";

const patterns = z.array(pattern).min(1).exactOptional();

const matchFields = {
  resources: patterns.describe(
    "As RBAC writes them, the API group behind a dot: `pods/exec`, `secrets`, `deployments.apps`, `nodes/*`.",
  ),
  verbs: patterns.describe("Kubernetes verbs: get, list, watch, create, update, patch, delete, deletecollection."),
  clusters: patterns.describe("Names of clusters, as this document gives them."),
  namespaces: patterns.describe("Namespaces of the object. What is in none fits `*` only."),
  names: patterns.describe(
    "The object's name: the pod, for a session. A list names none, so no pattern but `*` fits it.",
  ),
  groups: patterns.describe("Kubernetes groups that the identity rule gave."),
  users: z
    .array(pattern.toLowerCase())
    .min(1)
    .exactOptional()
    .describe("The Access identity: an email address, or `service:<common name>`, without regard to case."),
};

const matchSchema = z
  .strictObject({
    kinds: z
      .array(z.enum(SESSION_KINDS))
      .min(1)
      .exactOptional()
      .describe("Kinds of session; a rule that names some says nothing of plain requests."),
    ...matchFields,
  })
  .meta({
    id: "ruleMatch",
    description:
      "What a rule is for: all that it names must hold; a list holds when one of it does. The empty match holds for everything.",
  });

/** The same for plain requests that are left out of the record. It must name something. */
export const exceptionSchema = z
  .strictObject(matchFields)
  .refine((match) => Object.keys(match).length > 0, { message: "an exception from everything: name what is excepted" })
  .meta({ id: "exception", description: "Plain requests that are left out of the record. It must name something." });

export const ruleSchema = z
  .strictObject({
    name: nonEmpty
      .max(100)
      .describe("For the record and for people who ask why. No two rules of a list have the same."),
    match: matchSchema,
    action: z.enum(["allow", "refuse"]).describe("What becomes of it. `allow` is not more than RBAC allows."),
    message: nonEmpty.max(500).exactOptional().describe("What somebody who is refused reads."),
    requireReason: z
      .boolean()
      .default(false)
      .describe("A session opens only for somebody who has said why, with `kubectl create --raw /-/reason`."),
    limits: limitOverrides,
    recording: recordingOverrides,
  })
  .superRefine(({ action, message, requireReason, match }, context) => {
    const fault = (words: string) => context.addIssue({ code: "custom", message: words });
    if (action === "allow" && message !== undefined) fault("a message is for a rule that refuses");
    if (action === "refuse" && requireReason) fault("a rule that refuses asks for no reason");
    if (requireReason && match.kinds === undefined) fault("requireReason is for sessions: name their kinds");
  })
  .meta({ id: "rule", description: "What somebody may do here, beyond what the cluster's RBAC says." });

export type Rule = z.output<typeof ruleSchema>;
