/**
 * Requests for access as approvers see them, and their decisions. Whether somebody may decide is looked up at
 * the decision. All but the list of what was decided works without D1.
 */
import type * as z from "zod";
import { findAccessDecisions, findActiveAccess } from "../../../audit/access-queries.ts";
import { err, ok, type Result } from "../../../common/result.ts";
import { type AccessRequest, accessStateOf } from "../../../contract/access.ts";
import { copiesOf } from "../../config/location-hints.ts";
import { type Denial, denial } from "../../denials.ts";
import { decidingPerson, describeApprovers, mayDecide } from "../../policy/approvals.ts";
import { askDirectory } from "../../sessions/directory.ts";
import { invokeUserObject, sessionObjectAddress, type UserObjectAddress } from "../../sessions/user-objects.ts";
import { accessJson, accessListJson, decisionJson } from "../access-json.ts";
import { findLatestActivity } from "../activity.ts";
import { approverOf, checkApprover, decidableGrants, isOwnRequest, seesAll, sightOf } from "../approver.ts";
import { queryDatabase } from "../database.ts";
import { endAccess } from "../end-access.ts";
import type { ApiContext } from "../request.ts";
import type { approvals } from "../schemas/access.ts";
import { readReason } from "../schemas/command.ts";
import type { Handler } from "./handler.ts";

const MAX_DECIDED = 100;
const MAX_ACTIVE = 500;

const UNKNOWN: Denial = denial(
  "access_not_found",
  "there is no request with this id that you may see: it may have ended days ago",
);
type Decided = z.output<typeof approvals>["decided"];

export const listApprovals: Handler<"listApprovals"> = async ({ query: { state } }, api) => {
  const isAsked = (part: typeof state) => state === part || state === "all";
  const [pending, active, decided] = await Promise.all([
    isAsked("pending") ? pendingFor(api) : ok([]),
    isAsked("active") ? activeFor(api) : ok([]),
    isAsked("decided") ? decidedFor(api) : ok([]),
  ]);
  if (!pending.ok) return pending;
  if (!active.ok) return active;
  if (!decided.ok) return decided;
  return ok({ pending: accessListJson(pending.value, api), active: active.value, decided: decided.value });
};

export const getApproval: Handler<"getApproval"> = async ({ params: { id } }, api) => {
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request } = found.value;
  return sightOf(api).maySee(request) ? ok(accessJson(request, api)) : err(UNKNOWN);
};

/**
 * What the person did lately, for whoever is to decide, and while the access holds. It is no way to look after
 * people otherwise: that is for auditors.
 */
export const getApprovalActivity: Handler<"getApprovalActivity"> = async ({ params: { id } }, api) => {
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request } = found.value;
  const isOpen = OPEN_STATES.has(accessStateOf(request, Date.now()));
  const isDecidable = decidableGrants(api).some(({ name }) => name === request.grant);
  if (!isOwnRequest(api, request) && !seesAll(api) && !(isOpen && isDecidable)) return err(UNKNOWN);
  return findLatestActivity(api, request.person.user, SHOWN_ACTIVITY_MS);
};

/** How much of the past an approver sees, ms. */
const SHOWN_ACTIVITY_MS = 60 * 60 * 1_000;
const OPEN_STATES: ReadonlySet<string> = new Set(["pending", "active"]);

export const decideApproval: Handler<"decideApproval"> = async ({ params: { id }, body }, api) => {
  const { config, env } = api;
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request, address } = found.value;
  const checked = checkApprover(api, request);
  if (!checked.ok) return checked;
  const grant = checked.value;
  const { decision, reason, minutes = null } = body;
  if (minutes !== null && minutes > grant.maxMinutes) {
    return err(denial("bad_request", `the grant ${grant.name} is for ${grant.maxMinutes} minutes at most: give fewer`));
  }
  const decided = await invokeUserObject(env.USER_SESSIONS, address, "decideAccess", {
    ...{ id, by: decidingPerson(api, config), decision, reason: reason || null, minutes },
    ...{ needed: grant.count, maxMinutes: grant.maxMinutes, copyTo: copiesOf(config) },
  });
  if (!decided.ok) return decided;
  const { request: after, notReached } = decided.value;
  return ok({ ...accessJson(after, api), notReached });
};

/** Only takes away, so an administrator's service token may do it too, as it may lock somebody. */
export const revokeGrant: Handler<"revokeGrant"> = async ({ params: { id }, query, body }, api) => {
  const { config } = api;
  const found = await find(api, id);
  if (!found.ok) return found;
  const { request, address } = found.value;
  const approver = approverOf(api);
  const grant = config.grants.find(({ name }) => name === request.grant);
  const mayRevoke =
    isOwnRequest(api, request) ||
    approver.roles.includes("admin") ||
    (grant !== undefined && mayDecide(grant, approver));
  if (!mayRevoke) {
    if (!sightOf(api).maySee(request)) return err(UNKNOWN);
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
  const listed = await askDirectory(api.env.DIRECTORY, "listPendingAccess", {});
  if (!listed.ok) return listed;
  return ok(listed.value.filter(sightOf(api).oversees).sort((one, other) => one.requestedAt - other.requestedAt));
}

async function activeFor(api: ApiContext): Promise<Result<Decided, Denial>> {
  const which = { grants: shownGrants(api), limit: MAX_ACTIVE };
  const found = await queryDatabase(findActiveAccess(api.env.AUDIT_DB, Date.now(), which));
  return found.ok ? ok(found.value.map(decisionJson)) : found;
}

/** The names of the grants whose decisions the caller sees; undefined for all. */
function shownGrants(api: ApiContext): readonly string[] | undefined {
  return seesAll(api) ? undefined : decidableGrants(api).map(({ name }) => name);
}

async function decidedFor(api: ApiContext): Promise<Result<Decided, Denial>> {
  const found = await queryDatabase(findAccessDecisions(api.env.AUDIT_DB, shownGrants(api), MAX_DECIDED));
  return found.ok ? ok(found.value.map(decisionJson)) : found;
}
