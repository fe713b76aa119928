/** The caller of the API as an approver: what they may decide about and see, and what is their own. */
import { type AccessRequest, type DecidingPerson, isSamePerson } from "../../contract/access.ts";
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
 * Whether a request is the caller's own, under whatever spelling or second identity. The caller may be
 * another Kubernetes user in each cluster, and whoever asked may have been at any of them.
 */
export function isOwnRequest(caller: Caller, request: AccessRequest): boolean {
  return isCaller(caller, request.person);
}

/** Whether one of a request's approvals is the caller's own, likewise: they count people, not identities. */
export function hasApproved(caller: Caller, { approvals }: AccessRequest): boolean {
  return approvals.some(({ by, subject, kubernetesUser }) => isCaller(caller, { user: by, subject, kubernetesUser }));
}

function isCaller(caller: Caller, person: DecidingPerson): boolean {
  return personsOf(caller).some((one) => isSamePerson(one, person));
}

/** The caller under all the identities that the document gives them: the document's own, and each cluster's. */
export function personsOf({ subject, accessIdentity, identity, config }: Caller): readonly DecidingPerson[] {
  const others = [config.identities, ...config.clusters.map(({ identities }) => identities)].flatMap((rules) => {
    const identified = identify(subject, accessIdentity, rules);
    return identified.ok ? [identified.value] : [];
  });
  return [identity, ...others].map((one) => decidingPerson(subject, one));
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
