/** Rules for requests and sessions, in addition to the cluster's RBAC. */
import * as z from "zod";
import { SESSION_KINDS } from "../../kubernetes/session-target.ts";
import { limitOverrides, nonEmpty, pattern, recordingOverrides } from "./shared-fields.ts";

const patterns = z.array(pattern).min(1).exactOptional();

const matchFields = {
  resources: patterns.describe(
    "As in RBAC, with the API group after a dot: `pods/exec`, `secrets`, `deployments.apps`, `nodes/*`.",
  ),
  verbs: patterns.describe("Kubernetes verbs: get, list, watch, create, update, patch, delete, deletecollection."),
  clusters: patterns.describe("Names of clusters in this document."),
  namespaces: patterns.describe("Namespaces of the object. Objects without a namespace match `*` only."),
  names: patterns.describe(
    "Names of the object; for a session, of the pod. A list has a name only by `fieldSelector=metadata.name=…`; without one, a rule that allows some names does not apply to it, and one that refuses some does.",
  ),
  groups: patterns.describe(
    "Kubernetes groups that the identity rule assigned. A rule that refuses `*` also refuses somebody without groups.",
  ),
  users: z
    .array(pattern.toLowerCase())
    .min(1)
    .exactOptional()
    .describe("Access identities: email addresses, or `service:<common name>`, without regard to case."),
};

const matchSchema = z
  .strictObject({
    kinds: z
      .array(z.enum(SESSION_KINDS))
      .min(1)
      .exactOptional()
      .describe("Kinds of session. A rule with kinds does not apply to API requests."),
    ...matchFields,
  })
  .meta({
    id: "ruleMatch",
    description:
      "What a rule is for. Everything that it names must hold; a list holds if one of its entries does. The empty match holds for everything.",
  });

/** The match of API requests that are not recorded. */
export const exceptionSchema = z
  .strictObject(matchFields)
  .refine((match) => Object.keys(match).length > 0, {
    message: "an exception must name something: an empty one would match everything",
  })
  .meta({ id: "exception", description: "API requests that are not recorded. It must name something." });

/** The longest that a session waits. Until then somebody sits before it. */
const MAX_WAIT_MINUTES = 60;

const approvalSchema = z
  .strictObject({
    grant: nonEmpty.max(63).describe("The name of a grant in `grants`, which has this rule in `gives.rules`."),
    waitMinutes: z
      .int()
      .min(0)
      .max(MAX_WAIT_MINUTES)
      .default(5)
      .describe(
        "For how many minutes a shell that needs the approval waits for it. 0: it is refused. All other requests are refused in any case, and pass once the grant holds.",
      ),
  })
  .meta({
    id: "approval",
    description:
      "What the rule matches needs a grant. Without one it is refused, as widely as by a rule that refuses. With one, the rule allows it.",
  });

/** Which workload answers, and in which protocol, is not known before it was asked. */
const NEVER_WATCHED = "proxy";

const watchSchema = z
  .strictObject({
    required: z.literal(true).describe("Nothing passes while nobody watches the session."),
    waitMinutes: z
      .int()
      .min(1)
      .max(MAX_WAIT_MINUTES)
      .default(5)
      .describe(
        "For how many minutes it waits for somebody, at its beginning and whenever the last one has left. Then it ends.",
      ),
  })
  .meta({
    id: "requiredWatch",
    description:
      "A session goes on only while an auditor or administrator watches it, as with `kubectl sallyport watch`; not its own person, and no service token. For every kind of session but `proxy`.",
  });

export const ruleSchema = z
  .strictObject({
    name: nonEmpty.max(100).describe("Appears in the audit log and in explanations. Unique within its list."),
    match: matchSchema,
    action: z
      .enum(["allow", "refuse"])
      .describe("What happens. `allow` gives nobody more than the cluster's RBAC does."),
    message: nonEmpty.max(500).exactOptional().describe("What a person who is refused reads."),
    requireReason: z
      .boolean()
      .default(false)
      .describe("A session opens only after its user has stated a reason, with `kubectl create --raw /-/reason`."),
    approval: approvalSchema.exactOptional(),
    tell: z
      .boolean()
      .default(false)
      .describe("A session's user is told, in a line of its output, when somebody begins to watch it or stops."),
    watch: watchSchema.exactOptional(),
    limits: limitOverrides,
    recording: recordingOverrides,
  })
  .superRefine(({ action, message, requireReason, approval, tell, watch, match }, context) => {
    const addIssue = (message: string) => context.addIssue({ code: "custom", message });
    if (action === "allow" && message !== undefined) addIssue("only a rule that refuses has a message");
    if (action === "refuse" && requireReason) addIssue("only a rule that allows can require a reason");
    if (action === "refuse" && approval !== undefined) addIssue("only a rule that allows can have an approval");
    if (action === "refuse" && tell) addIssue("only a rule that allows can tell of watchers");
    if (tell && match.kinds === undefined) addIssue("tell is for sessions: name their kinds");
    if (action === "refuse" && watch) addIssue("only a rule that allows can require a watcher");
    if (watch && match.kinds === undefined) addIssue("watch is for sessions: name their kinds");
    if (watch && match.kinds?.includes(NEVER_WATCHED))
      addIssue(`a session of the kind ${NEVER_WATCHED} cannot be watched`);
    if (requireReason && match.kinds === undefined) addIssue("requireReason is for sessions: name their kinds");
  })
  .meta({ id: "rule", description: "A rule for requests and sessions, in addition to the cluster's RBAC." });

export type Rule = z.output<typeof ruleSchema>;
