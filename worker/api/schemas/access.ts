/** Access for a while, as the routes of `/-/access`, `/-/approvals` and `/-/grants` take and answer it. */
import * as z from "zod";
import { ACCESS_STATES } from "../../../contract/access.ts";
import { endedIds } from "./command.ts";
import { notReached, reason, time } from "./shared.ts";

export const accessIdParams = z.strictObject({ id: z.string().describe("The request's id.") });

const minutesParameter = z.coerce
  .number("must be a whole number above 0")
  .int("must be a whole number above 0")
  .positive("must be a whole number above 0");

export const askQuery = z.strictObject({
  grant: z.string().exactOptional().describe("The grant's name. It must be given: `GET /-/access` lists yours."),
  minutes: minutesParameter
    .exactOptional()
    .describe("For how many minutes. Default: 60, or as many as the grant allows."),
});

export const askBody = {
  schema: z.strictObject({ reason: reason.exactOptional() }),
  example: { reason: "INC-17: checkout is down" },
  plainTextField: "reason",
};

/** What an approver may do with a request. */
export const DECISIONS = ["approve", "deny"] as const;
export type AccessDecisionName = (typeof DECISIONS)[number];
const decision = z.enum(DECISIONS, 'must be "approve" or "deny"');

export const decideBody = {
  schema: z.strictObject({
    decision: decision.describe("What is decided."),
    reason: reason.exactOptional().describe("Why; whoever asked reads it."),
    minutes: minutesParameter
      .exactOptional()
      .describe("For how many minutes at most it shall hold. Default: as many as were asked for."),
  }),
  example: { decision: "approve", reason: "seen the incident", minutes: 30 },
};

export const approvalsQuery = z.strictObject({
  state: z
    .enum(["pending", "active", "decided", "all"])
    .default("pending")
    .describe(
      "`pending`: what waits for a decision. `active`: grants that hold. `decided`: what was decided. `all`: all of them. All but `pending` need D1.",
    ),
});

const decider = {
  by: z.string().describe("Who."),
  at: time.describe("When."),
  reason: z.string().nullable().describe("Why."),
};

const requestFields = {
  id: z.string().describe("The request's id, and that of the grant which it becomes."),
  state: z
    .enum(ACCESS_STATES)
    .describe(
      "`pending`: waits for a decision. `active`: a grant that holds. `denied`. `expired`: nobody decided in time. `ended`: its time is over. `revoked`: taken back before its time, or withdrawn.",
    ),
  grant: z.string().describe("The grant's name."),
  user: z.string().describe("Who asked."),
  kubernetesUser: z.string().describe("The user that they are in the cluster whose host was asked."),
  minutes: z.int().describe("For how many minutes they asked."),
  reason: z.string().nullable().describe("Why they asked."),
  purpose: z.string().nullable().describe("What waits for it: a session. Null: nothing does."),
  requestedAt: time.describe("When they asked."),
  expiresAt: time.describe("Until when it may be decided."),
  needed: z.int().describe("How many people must approve."),
  approvals: z.array(z.strictObject(decider)).describe("Who has approved."),
  selfApproved: z.boolean().describe("Its own person approved it, as the grant allows with an alert."),
  end: z
    .strictObject({ how: z.enum(["denied", "revoked"]).describe("What ended it."), ...decider })
    .nullable()
    .describe("The denial, withdrawal or revocation that ended it."),
  since: time.nullable().describe("Since when it holds. Null: it never did."),
  until: time.nullable().describe("Until when it holds."),
  gives: z
    .strictObject({
      groups: z.array(z.string()).describe("Kubernetes groups."),
      rules: z.array(z.string()).describe("Rules that count as approved."),
    })
    .nullable()
    .describe("What the grant gives, by the configuration in force. Null: it no longer has the grant."),
  approvers: z.string().describe("Who may approve, deny and revoke."),
  mayDecide: z.array(z.enum(DECISIONS)).describe("What the caller may decide about it now. Empty: nothing."),
  address: z
    .url()
    .describe("Where it is decided: GET shows it, POST decides. A browser sees the console's page there."),
};

export const accessRequest = z
  .strictObject(requestFields)
  .meta({ id: "AccessRequest", description: "A request for access, or the grant that it has become." });

export const askedAccess = z
  .strictObject({
    ...requestFields,
    isNew: z.boolean().describe("False: an earlier request for the same grant, pending or active, is the answer."),
    notReached,
  })
  .meta({ id: "AskedAccess", description: "A request that was just made, or the earlier one that answers it." });

export const decidedAccess = z
  .strictObject({ ...requestFields, notReached })
  .meta({ id: "DecidedAccess", description: "A request after a decision." });

export const endedAccess = z
  .strictObject({ ...requestFields, ended: endedIds, notReached })
  .meta({ id: "EndedAccess", description: "A request that was withdrawn, or a grant that was taken back." });

const availableGrant = z
  .strictObject({
    name: z.string().describe("What to ask for."),
    groups: z.array(z.string()).describe("Kubernetes groups that it gives."),
    rules: z.array(z.string()).describe("Rules that it approves."),
    maxMinutes: z.int().describe("For how many minutes at most."),
    count: z.int().describe("How many people must approve."),
    requireReason: z.boolean().describe("Whether a reason is required."),
    selfApproval: z.boolean().describe("It holds as soon as it is asked for, with an alert."),
    approvers: z.string().describe("Who may approve."),
    ask: z.string().describe("A command that asks for it."),
  })
  .meta({ id: "AvailableGrant", description: "A grant that the caller may ask for." });

export const ownAccess = z
  .strictObject({
    grants: z.array(availableGrant).describe("What the caller may ask for."),
    items: z.array(accessRequest).describe("The caller's requests of the last days, newest first."),
  })
  .meta({ id: "OwnAccess", description: "The caller's own access for a while." });

export const accessDecision = z
  .strictObject({
    id: z.string().describe("The request's id."),
    grant: z.string().describe("The grant's name."),
    user: z.string().describe("Who had asked."),
    ...decider,
    decision: z.enum(["approve", "deny", "end"]).describe("`end`: taken back, or withdrawn."),
    until: time.nullable().describe("Until when it holds with this decision. Null: it does not."),
    selfApproved: z.boolean().describe("Its own person approved it, as the grant allows with an alert."),
  })
  .meta({ id: "AccessDecision", description: "A decision about a request for access, from the audit log." });

export const approvals = z
  .strictObject({
    pending: z
      .array(accessRequest)
      .describe("What waits for a decision, oldest first. Empty for `state=active` and `state=decided`."),
    active: z
      .array(accessDecision)
      .describe(
        "The decisions with which grants began that hold, newest first, as D1 knows them: at most 500. Empty without `state=active` or `state=all`.",
      ),
    decided: z
      .array(accessDecision)
      .describe("The last 100 decisions, newest first. Empty without `state=decided` or `state=all`."),
  })
  .meta({
    id: "Approvals",
    description: "What the caller may decide about, and was decided. Auditors and administrators see all.",
  });
