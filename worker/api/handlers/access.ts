/** A person's own access for a while: what they may ask for, have asked for, and have. Works without D1. */
import type * as z from "zod";
import { err, ok } from "../../../common/result.ts";
import { copiesOf } from "../../config/location-hints.ts";
import type { Grant } from "../../config/schema.ts";
import { type Denial, denial } from "../../denials.ts";
import { decidingPerson, defaultMinutes, describeApprovers, howToAsk } from "../../policy/approvals.ts";
import { grantsFor } from "../../policy/grants.ts";
import { invokeUserObject, userObjectAddress } from "../../sessions/user-objects.ts";
import { accessJson, accessListJson } from "../access-json.ts";
import { endAccess } from "../end-access.ts";
import type { ownAccess } from "../schemas/access.ts";
import { readReason } from "../schemas/command.ts";
import type { Handler } from "./handler.ts";

const NOT_YOURS: Denial = denial(
  "access_not_found",
  "you have no request with this id: kubectl get --raw /-/access lists yours",
);

export const getAccess: Handler<"getAccess"> = async (_, api) => {
  const { identity, subject, accessIdentity, config, env } = api;
  const address = userObjectAddress(env.USER_SESSIONS, identity.name, null);
  const listed = await invokeUserObject(env.USER_SESSIONS, address, "listAccess", {});
  if (!listed.ok) return listed;
  return ok({
    grants: grantsFor(config.grants, subject, accessIdentity).map(grantJson),
    items: accessListJson(listed.value, api),
  });
};

export const askForAccess: Handler<"askForAccess"> = async ({ query, body }, api) => {
  const { identity, subject, accessIdentity, config, env } = api;
  if (query.grant === undefined) return err(UNNAMED);
  const grant = grantsFor(config.grants, subject, accessIdentity).find(({ name }) => name === query.grant);
  if (!grant) return err(NO_GRANT);
  const { minutes = defaultMinutes(grant) } = query;
  const reason = body.reason?.trim() || null;
  const fault = faultOf(grant, minutes, reason);
  if (fault) return err(denial("bad_request", fault));
  const address = userObjectAddress(env.USER_SESSIONS, identity.name, null);
  const asked = await invokeUserObject(env.USER_SESSIONS, address, "requestAccess", {
    ...{ person: decidingPerson(api, config), grant: grant.name, minutes, reason },
    ...{ purpose: null, needed: grant.count },
    // A service token never approves anything.
    approvesItself: grant.selfApproval !== undefined && subject.email !== undefined,
    // Where what is opened must be known. What is taken back is copied everywhere, as locks are.
    copyTo: copiesOf(config),
  });
  if (!asked.ok) return asked;
  const { request, isNew, notReached } = asked.value;
  return ok({ ...accessJson(request, api), isNew, notReached });
};

export const endOwnAccess: Handler<"endOwnAccess"> = async ({ params: { id }, query, body }, api) => {
  const { identity, env } = api;
  // The object of the caller's own name: nobody else's requests are in it.
  const address = userObjectAddress(env.USER_SESSIONS, identity.name, null);
  const described = await invokeUserObject(env.USER_SESSIONS, address, "describeAccess", { id });
  if (!described.ok) return described;
  if (!described.value) return err(NOT_YOURS);
  return endAccess(api, address, id, readReason(query, body, ""));
};

const UNNAMED = denial("bad_request", "name a grant, as in ?grant=NAME: kubectl get --raw /-/access lists yours");
const NO_GRANT = denial(
  "not_found",
  "there is no grant of this name for you: kubectl get --raw /-/access lists those that you may ask for",
);

function faultOf({ name, maxMinutes, requireReason }: Grant, minutes: number, reason: string | null) {
  if (minutes > maxMinutes) return `the grant ${name} is for ${maxMinutes} minutes at most: ask for fewer`;
  if (requireReason && reason === null) return `the grant ${name} requires a reason: give it as the body`;
  return undefined;
}

function grantJson(grant: Grant): z.output<typeof ownAccess>["grants"][number] {
  const { name, gives, maxMinutes, count, requireReason, selfApproval } = grant;
  return {
    ...{ name, groups: gives.groups, rules: gives.rules, maxMinutes, count, requireReason },
    selfApproval: selfApproval !== undefined,
    approvers: describeApprovers(grant),
    ask: howToAsk(grant),
  };
}
