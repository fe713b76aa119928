/**
 * Requests for access as approvers see them, and their decisions. Whether somebody may decide is looked up at
 * the decision. All but the list of what was decided works without D1.
 */
import type * as z from "zod";
import { type AccessDecisionEvent, findAccessDecisions } from "../../../audit/access-queries.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import { type AccessRequest, accessStateOf } from "../../../contract/access.ts";
import { copiesOf } from "../../config/location-hints.ts";
import { type Denial, denial } from "../../denials.ts";
import { decidingPerson, describeApprovers, mayDecide } from "../../policy/approvals.ts";
import { askDirectory } from "../../sessions/directory.ts";
import { invokeUserObject, sessionObjectAddress, type UserObjectAddress } from "../../sessions/user-objects.ts";
import { accessJson } from "../access-json.ts";
import { approverOf, decidableGrants, hasApproved, isOwnRequest, maySee, seesAll } from "../approver.ts";
import { queryDatabase } from "../database.ts";
import { endAccess } from "../end-access.ts";
import type { ApiContext } from "../request.ts";
import type { approvals } from "../schemas/access.ts";
import { readReason } from "../schemas/command.ts";
import type { Handler } from "./handler.ts";

/** How long an approver waits for the directory, ms. */
const LIST_WITHIN_MS = 5_000;
const MAX_DECIDED = 100;

const UNKNOWN: Denial = denial(
  "access_not_found",
  "there is no request with this id that you may see: it may have ended days ago",
);
const NO_SERVICE_TOKEN: Denial = denial(
  "not_approver",
  "a service token decides nothing: sign in as a person, and decide then",
);
const OWN_REQUEST: Denial = denial(
  "access_own_request",
  "this is your own request, by your name, your sign-in or your Kubernetes user: somebody else must decide",
);

const ALREADY_APPROVED: Denial = denial(
  "access_already_decided",
  "you have approved this, by your name, your sign-in or your Kubernetes user: it needs somebody else's approval",
);

type Decided = z.output<typeof approvals>["decided"];

export const listApprovals: Handler<"listApprovals"> = async ({ query: { state } }, api) => {
  const [pending, decided] = await Promise.all([
    state === "decided" ? ok([]) : pendingFor(api),
    state === "pending" ? ok([]) : decidedFor(api),
  ]);
  if (!pending.ok) return pending;
  if (!decided.ok) return decided;
  const { config, url } = api;
  return ok({ pending: pending.value.map((one) => accessJson(one, config.grants, url)), decided: decided.value });
};

export const getApproval: Handler<"getApproval"> = async ({ params: { id } }, api) => {
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request } = found.value;
  return maySee(api, request) ? ok(accessJson(request, api.config.grants, api.url)) : err(UNKNOWN);
};

export const decideApproval: Handler<"decideApproval"> = async ({ params: { id }, body }, api) => {
  const { subject, identity, config, env, url } = api;
  if (subject.email === undefined) return err(NO_SERVICE_TOKEN);
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request, address } = found.value;
  if (isOwnRequest(api, request)) return err(OWN_REQUEST);
  const grant = config.grants.find(({ name }) => name === request.grant);
  if (!grant) return err(removedGrant(request.grant));
  if (!mayDecide(grant, approverOf(api))) {
    return err(denial("not_approver", `you may not decide about ${grant.name}: ${describeApprovers(grant)} may`));
  }
  const { decision, reason, minutes = null } = body;
  // What has ended meanwhile is the object's to tell, which also knows of an approval of this moment.
  const isPending = accessStateOf(request, Date.now()) === "pending";
  if (isPending && decision === "approve" && hasApproved(api, request)) return err(ALREADY_APPROVED);
  if (minutes !== null && minutes > grant.maxMinutes) {
    return err(denial("bad_request", `the grant ${grant.name} is for ${grant.maxMinutes} minutes at most: give fewer`));
  }
  const decided = await invokeUserObject(env.USER_SESSIONS, address, "decideAccess", {
    ...{ id, by: decidingPerson(subject, identity), decision, reason: reason || null, minutes },
    ...{ needed: grant.count, maxMinutes: grant.maxMinutes, copyTo: copiesOf(config) },
  });
  if (!decided.ok) return decided;
  const { request: after, notReached } = decided.value;
  return ok({ ...accessJson(after, config.grants, url), notReached });
};

/** Only takes away, so an administrator's service token may do it too, as it may lock somebody. */
export const revokeGrant: Handler<"revokeGrant"> = async ({ params: { id }, query, body }, api) => {
  const { identity, config } = api;
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request, address } = found.value;
  const approver = approverOf(api);
  const grant = config.grants.find(({ name }) => name === request.grant);
  const mayRevoke =
    request.person.user === identity.name ||
    approver.roles.includes("admin") ||
    (grant !== undefined && mayDecide(grant, approver));
  if (!mayRevoke) {
    if (!maySee(api, request)) return err(UNKNOWN);
    const who = grant ? `${describeApprovers(grant)}, administrators` : "administrators";
    return err(denial("not_approver", `you may not revoke this: ${who} and its own person may`));
  }
  return endAccess(api, address, id, readReason(query, body, ""));
};

interface Found {
  readonly request: AccessRequest;
  readonly address: UserObjectAddress;
}

/** An id names the object that holds the request. */
async function find({ env }: ApiContext, id: string): Promise<Result<Found, Denial>> {
  const address = sessionObjectAddress(env.USER_SESSIONS, id);
  if (!address) return err(UNKNOWN);
  const described = await invokeUserObject(env.USER_SESSIONS, address, "describeAccess", { id });
  if (!described.ok) return described;
  return described.value ? ok({ request: described.value, address }) : err(UNKNOWN);
}

async function pendingFor(api: ApiContext): Promise<Result<AccessRequest[], Denial>> {
  const listed = await askDirectory(api.env.DIRECTORY, "listPendingAccess", {}, LIST_WITHIN_MS);
  if (!listed.ok) return listed;
  const decidable = new Set(decidableGrants(api).map(({ name }) => name));
  const isShown = seesAll(api) ? () => true : ({ grant }: AccessRequest) => decidable.has(grant);
  return ok(listed.value.filter(isShown).sort((one, other) => one.requestedAt - other.requestedAt));
}

async function decidedFor(api: ApiContext): Promise<Result<Decided, Denial>> {
  const names = seesAll(api) ? undefined : decidableGrants(api).map(({ name }) => name);
  const found = await queryDatabase(findAccessDecisions(api.env.AUDIT_DB, names, MAX_DECIDED));
  return found.ok ? ok(found.value.map(decisionJson)) : found;
}

function decisionJson({ at, ...event }: AccessDecisionEvent): Decided[number] {
  const { access_id: id, grant, user, by, reason } = event.data;
  const common = { id, grant, user, by, at: new Date(at).toISOString(), reason };
  if (event.type === "access_end") return { ...common, decision: "end", until: null, selfApproved: false };
  const { decision, until, self_approved: selfApproved } = event.data;
  return { ...common, decision, until: until === null ? null : new Date(until).toISOString(), selfApproved };
}

function removedGrant(name: string): Denial {
  return denial("not_approver", `the grant ${name} is no longer in the configuration, so nobody can approve it`);
}
