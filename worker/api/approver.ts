/** The caller of the API as an approver: what they may decide about and see, and what is their own. */
import { err, ok, type Result } from "../../common/result.ts";
import { type AccessRequest, accessStateOf, type DecidingPerson, isSamePerson } from "../../contract/access.ts";
import type { Grant } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import { type Approver, decidingPerson, describeApprovers, mayDecide } from "../policy/approvals.ts";
import { identify } from "../policy/identify.ts";
import type { ApiContext } from "./request.ts";
import { type AccessDecisionName, DECISIONS } from "./schemas/access.ts";

export type Caller = Pick<ApiContext, "subject" | "accessIdentity" | "identity" | "config">;

/** The caller, with their roles, which the document's own identities give: see `isAdminPath`. */
export function approverOf({ subject, accessIdentity, config }: Caller): Approver {
  const identified = identify(subject, accessIdentity, config.identities);
  return { subject, accessIdentity, roles: identified.ok ? identified.value.roles : [] };
}

/**
 * Whether the caller made a request, and so may see and end it. By the Access name alone: several people may be
 * one Kubernetes user, who then must not decide for each other, but gain nothing by it.
 */
export function isOwnRequest({ identity }: Pick<Caller, "identity">, { person }: AccessRequest): boolean {
  return person.user === identity.name;
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

/** Which requests somebody may see. */
export interface Sight {
  readonly maySee: (request: AccessRequest) => boolean;
  /** What they see as an approver, an auditor or an administrator. That it is their own does not count. */
  readonly oversees: (request: AccessRequest) => boolean;
  /** The same for whoever may see the same, beside their own. */
  readonly key: string;
}

/** The caller may see their own requests, those that they may decide about, or all. Make it once per answer. */
export function sightOf(caller: Caller): Sight {
  const isForAll = seesAll(caller);
  const decidable = new Set(decidableGrants(caller).map(({ name }) => name));
  const oversees = ({ grant }: AccessRequest) => isForAll || decidable.has(grant);
  return {
    maySee: (request) => isOwnRequest(caller, request) || oversees(request),
    oversees,
    key: JSON.stringify([isForAll, ...decidable]),
  };
}

const NO_SERVICE_TOKEN: Denial = denial(
  "not_approver",
  "a service token decides nothing: sign in as a person, and decide then",
);
const OWN_REQUEST: Denial = denial(
  "access_own_request",
  "this is your own request, by your name, your sign-in or your Kubernetes user: somebody else must decide",
);

/**
 * Finds out whether the caller may decide about a request, whatever its state. Its object has the last word.
 *
 * @returns the grant that it is for; `not_approver` or `access_own_request`
 */
export function checkApprover(caller: Caller, request: AccessRequest): Result<Grant, Denial> {
  return check(caller, deciderOf(caller), request);
}

/** The caller by all their names, and as an approver. Both take a while to work out. */
interface Decider {
  readonly person: DecidingPerson;
  readonly approver: Approver;
}

function deciderOf(caller: Caller): Decider {
  return { person: decidingPerson(caller, caller.config), approver: approverOf(caller) };
}

function check({ subject, config }: Caller, decider: Decider, request: AccessRequest): Result<Grant, Denial> {
  if (subject.email === undefined) return err(NO_SERVICE_TOKEN);
  if (isSamePerson(decider.person, request.person)) return err(OWN_REQUEST);
  const grant = config.grants.find(({ name }) => name === request.grant);
  if (!grant) return err(removedGrant(request.grant));
  if (mayDecide(grant, decider.approver)) return ok(grant);
  return err(denial("not_approver", `you may not decide about ${grant.name}: ${describeApprovers(grant)} may`));
}

function removedGrant(name: string): Denial {
  return denial("not_approver", `the grant ${name} is no longer in the configuration, so nobody can approve it`);
}

/**
 * Makes what finds out what the caller may decide about a request now, as far as the request says. Make it
 * once per answer: it works out the caller's names once, at the first request that waits for a decision.
 */
export function decisionsOpenTo(caller: Caller): (request: AccessRequest) => AccessDecisionName[] {
  let known: Decider | undefined;
  return (request) => {
    if (accessStateOf(request, Date.now()) !== "pending") return [];
    known ??= deciderOf(caller);
    if (!check(caller, known, request).ok) return [];
    const { person } = known;
    const hasApproved = request.approvals.some((approval) => isSamePerson(person, { ...approval, user: approval.by }));
    return DECISIONS.filter((decision) => decision === "deny" || !hasApproved);
  };
}
