import type * as z from "zod";
import type { AccessDecisionEvent } from "../../audit/access-queries.ts";
import { type AccessRequest, accessStateOf } from "../../contract/access.ts";
import { describeApprovers } from "../policy/approvals.ts";
import { type Caller, decisionsOpenTo } from "./approver.ts";
import type { ApiContext } from "./request.ts";
import type { accessDecision, accessRequest } from "./schemas/access.ts";

const NOBODY = "nobody: this grant is no longer in the configuration";

/** Of whoever reads an answer. Its requests are decided at the same host. */
type Reader = Caller & Pick<ApiContext, "url">;

/** Requests for access as the API shows them. */
export function accessListJson(requests: readonly AccessRequest[], api: Reader): z.output<typeof accessRequest>[] {
  const decisionsOn = decisionsOpenTo(api);
  return requests.map((request) => requestJson(request, api, decisionsOn(request)));
}

/** One of them. */
export function accessJson(request: AccessRequest, api: Reader): z.output<typeof accessRequest> {
  return requestJson(request, api, decisionsOpenTo(api)(request));
}

function requestJson(
  request: AccessRequest,
  { config, url }: Reader,
  mayDecide: z.output<typeof accessRequest>["mayDecide"],
): z.output<typeof accessRequest> {
  const { id, grant: name, person, active, ended, isSelfApproved, approvals, requestedAt, expiresAt } = request;
  const { minutes, reason, purpose, needed } = request;
  const grant = config.grants.find((each) => each.name === name);
  return {
    ...{ id, state: accessStateOf(request, Date.now()), grant: name, user: person.user },
    ...{ kubernetesUser: person.kubernetesUser, minutes, reason, purpose },
    ...{ requestedAt: timeJson(requestedAt), expiresAt: timeJson(expiresAt), needed },
    approvals: approvals.map(deciderJson),
    selfApproved: isSelfApproved,
    end: ended && { how: ended.how, ...deciderJson(ended) },
    since: active && timeJson(active.since),
    until: active && timeJson(active.until),
    gives: grant ? grant.gives : null,
    approvers: grant ? describeApprovers(grant) : NOBODY,
    mayDecide,
    address: `${url.origin}/-/approvals/${id}`,
  };
}

function deciderJson({ by, at, reason }: Pick<AccessRequest["approvals"][number], "by" | "at" | "reason">) {
  return { by, at: timeJson(at), reason };
}

function timeJson(at: number): string {
  return new Date(at).toISOString();
}

/** A decision about a request for access, or its end, as the API shows it. */
export function decisionJson({ at, ...event }: AccessDecisionEvent): z.output<typeof accessDecision> {
  const { access_id: id, grant, user, by, reason } = event.data;
  const common = { id, grant, user, by, at: new Date(at).toISOString(), reason };
  if (event.type === "access_end") return { ...common, decision: "end", until: null, selfApproved: false };
  const { decision, until, self_approved: selfApproved } = event.data;
  return { ...common, decision, until: until === null ? null : new Date(until).toISOString(), selfApproved };
}
