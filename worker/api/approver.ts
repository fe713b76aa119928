/** The caller of the API as an approver: what they may decide about and see, and what is their own. */
import { type AccessRequest, isSamePerson } from "../../contract/access.ts";
import type { Grant } from "../config/schema.ts";
import { type Approver, decidingPerson, mayDecide } from "../policy/approvals.ts";
import { identify } from "../policy/identify.ts";
import type { ApiContext } from "./request.ts";

type Caller = Pick<ApiContext, "subject" | "accessIdentity" | "identity" | "config">;

/** The caller, with their roles, which the document's own identities give: see `isAdminPath`. */
export function approverOf({ subject, accessIdentity, config }: Caller): Approver {
  const identified = identify(subject, accessIdentity, config.identities);
  return { subject, accessIdentity, roles: identified.ok ? identified.value.roles : [] };
}

/**
 * Whether a request is the caller's own, as far as the request says: their object also knows by which other
 * Kubernetes users whoever asked is known.
 */
export function isOwnRequest(caller: Caller, { person }: AccessRequest): boolean {
  return isSamePerson(decidingPerson(caller, caller.config), person);
}

/** The grants that the caller may decide about. */
export function decidableGrants(caller: Caller): readonly Grant[] {
  const approver = approverOf(caller);
  return caller.config.grants.filter((grant) => mayDecide(grant, approver));
}

/** Auditors and administrators see every request. */
export function seesAll(caller: Caller): boolean {
  return approverOf(caller).roles.length > 0;
}

/** Whether the caller may see a request: their own, those that they may decide about, or all. */
export function maySee(caller: Caller, request: AccessRequest): boolean {
  return (
    request.person.user === caller.identity.name ||
    seesAll(caller) ||
    decidableGrants(caller).some(({ name }) => name === request.grant)
  );
}
