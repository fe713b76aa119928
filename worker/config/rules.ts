/** Rules on what somebody may do here, beyond what the cluster's RBAC says. */
import * as z from "zod";
import { SESSION_KINDS } from "../../kubernetes/session-target.ts";
import { limitOverrides, nonEmpty, pattern, recordingOverrides } from "./parts.ts";

const patterns = z.array(pattern).min(1).exactOptional();

const matchFields = {
  /** As RBAC writes them, the API group behind a dot: `pods/exec`, `secrets`, `deployments.apps`, `nodes/*`. */
  resources: patterns,
  /** Kubernetes verbs: get, list, watch, create, update, patch, delete, deletecollection. */
  verbs: patterns,
  clusters: patterns,
  namespaces: patterns,
  /** Of the object: the pod, for a session. */
  names: patterns,
  /** Kubernetes groups that the identity rule gave. */
  groups: patterns,
  /** The Access identity: an email address, or `service:<common name>`, without regard to case. */
  users: z.array(pattern.toLowerCase()).min(1).exactOptional(),
};

/** All that a rule names must hold; a list holds when one of it does. The empty match holds for everything. */
const matchSchema = z.strictObject({
  /** Kinds of session; a rule that names some says nothing of plain requests. */
  kinds: z.array(z.enum(SESSION_KINDS)).min(1).exactOptional(),
  ...matchFields,
});

/** The same for plain requests that are left out of the record. It must name something. */
export const exceptionSchema = z
  .strictObject(matchFields)
  .refine((match) => Object.keys(match).length > 0, { message: "an exception from everything: name what is excepted" });

export const ruleSchema = z
  .strictObject({
    /** For the record and for people who ask why. */
    name: nonEmpty.max(100),
    match: matchSchema,
    action: z.enum(["allow", "refuse"]),
    /** What somebody who is refused reads. */
    message: nonEmpty.max(500).exactOptional(),
    /** A session opens only for somebody who has said why, with `kubectl create --raw /-/reason`. */
    requireReason: z.boolean().default(false),
    limits: limitOverrides,
    recording: recordingOverrides,
  })
  .superRefine(({ action, message, requireReason, match }, context) => {
    const fault = (words: string) => context.addIssue({ code: "custom", message: words });
    if (action === "allow" && message !== undefined) fault("a message is for a rule that refuses");
    if (action === "refuse" && requireReason) fault("a rule that refuses asks for no reason");
    if (requireReason && match.kinds === undefined) fault("requireReason is for sessions: name their kinds");
  });

export type Rule = z.output<typeof ruleSchema>;
