/**
 * What becomes of requests for access: asked for, approved by one or several, denied, taken back, over by
 * time.
 *
 * Pure: requests, ids and times are arguments. Times are ms since the epoch.
 */

import { err, ok, type Result } from "../../common/result.ts";
import {
  type AccessRequest,
  type ActiveGrant,
  accessStateOf,
  type DecidingPerson,
  ENDED_SHOWN_FOR_MS,
  isSamePerson,
  MAX_PENDING_REQUESTS,
  type NamedPerson,
  PENDING_FOR_MS,
} from "../../contract/access.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import type { UserObjectFields } from "../../contract/user-object.ts";

/**
 * The most requests that one person begins within 24 hours. Each is an event in the audit log, and a message
 * to everybody who may approve. A request that is answered by an earlier one does not count.
 */
export const MAX_REQUESTS_PER_DAY = 50;
/**
 * The most ended requests that are kept. Above `MAX_REQUESTS_PER_DAY`, since the requests of the last day are
 * counted by what is kept.
 */
export const MAX_ENDED_REQUESTS = 100;

const DAY_MS = 24 * 60 * 60 * 1_000;
const MINUTE_MS = 60 * 1_000;

export type AskedAccess = Omit<UserObjectFields<"requestAccess">, "copyTo">;
export type AccessVote = Omit<UserObjectFields<"decideAccess">, "copyTo" | "id">;

/** All Kubernetes users of whoever asked, and of those who approved, by their Access names. */
export type KnownUsers = Readonly<Record<string, readonly string[]>>;

/** What became of a request. */
export interface Asked {
  readonly request: AccessRequest;
  /** Otherwise an earlier request for the same grant answers this one. */
  readonly isNew: boolean;
  /** It was approved by its own person just now, as its grant allows. */
  readonly approvedItself: boolean;
}

/**
 * Asks for access. Where the same grant is pending or active, that is the answer.
 *
 * A grant that lets people approve their own requests is active at once, also where an earlier request for it
 * still waits: whoever needs it in an emergency must not wait for what they asked before.
 *
 * @param known the person's requests
 * @param id of a new request
 * @returns `access_limit` where too many wait, or were begun within a day
 */
export function askForAccess(
  known: readonly AccessRequest[],
  asked: AskedAccess,
  id: string,
  now: number,
): Result<Asked, Denial> {
  // One who approves alone is as many as one.
  const approvesItself = asked.approvesItself && asked.needed === 1;
  const earlier = findOpen(known, asked.grant, now);
  if (earlier) {
    const approves = approvesItself && accessStateOf(earlier, now) === "pending";
    return ok({
      request: approves ? approveOwn(earlier, asked, now) : earlier,
      isNew: false,
      approvedItself: approves,
    });
  }
  const pending = known.filter((request) => accessStateOf(request, now) === "pending");
  if (pending.length >= MAX_PENDING_REQUESTS && !approvesItself) return err(tooManyPending(pending.length));
  const today = known.map(({ requestedAt }) => requestedAt).filter((at) => at > now - DAY_MS);
  if (today.length >= MAX_REQUESTS_PER_DAY) return err(tooManyToday(Math.min(...today) + DAY_MS));
  const { grant, minutes, reason, purpose, needed } = asked;
  const { kubernetesUsers: _, ...person } = asked.person;
  const request: AccessRequest = {
    ...{ id, person, grant, minutes, reason, purpose, requestedAt: now, expiresAt: now + PENDING_FOR_MS, needed },
    ...{ approvals: [], isSelfApproved: false, ended: null, active: null },
  };
  return ok({
    request: approvesItself ? approveOwn(request, asked, now) : request,
    isNew: true,
    approvedItself: approvesItself,
  });
}

/**
 * Approves or denies a request.
 *
 * One denial ends it, also by somebody who has approved it before: their second look counts. Approvals are
 * counted by persons, so that two identities of one person are one approval. It becomes active with the last
 * approval that it needs, for the least of what was asked, of what any of them gave, and of what the document
 * allows.
 *
 * @param users what is known of those who asked and approved, beside what the request says: nothing where an
 *   edge of version 5 told of them
 * @returns the request as it is then; `access_not_found`, `access_own_request` or `access_already_decided`
 */
export function decideAccess(
  request: AccessRequest | undefined,
  { by, decision, reason, minutes, needed, maxMinutes }: AccessVote,
  users: KnownUsers,
  now: number,
): Result<AccessRequest, Denial> {
  if (!request) return err(NOT_FOUND);
  if (isSamePerson(by, withUsers(request.person, users))) return err(OWN_REQUEST);
  if (accessStateOf(request, now) !== "pending") return err(alreadyDecided(request, now));
  const made = madeBy(by, reason, now);
  if (decision === "deny") return ok({ ...request, needed, ended: { ...made, how: "denied" } });
  const before = request.approvals.find((approval) => isSamePerson(by, withUsers(asPerson(approval), users)));
  if (before) return err(alreadyApproved(before.at, Math.max(needed - request.approvals.length, 1)));
  return ok(withApproval({ ...request, needed }, { ...made, minutes }, maxMinutes, now));
}

/**
 * Takes back a grant, or withdraws a request that waits. Its own person may do so too.
 *
 * @returns the request as it is then; `access_not_found`, or `access_already_decided` where it has ended
 */
export function endAccess(
  request: AccessRequest | undefined,
  by: NamedPerson,
  reason: string | null,
  now: number,
): Result<AccessRequest, Denial> {
  if (!request) return err(NOT_FOUND);
  const state = accessStateOf(request, now);
  if (state !== "pending" && state !== "active") return err(alreadyDecided(request, now));
  return ok({ ...request, ended: { ...madeBy(by, reason, now), how: "revoked" } });
}

/** The grants that hold. */
export function activeGrants(known: readonly AccessRequest[], now: number): ActiveGrant[] {
  return known.flatMap((request) =>
    request.active && accessStateOf(request, now) === "active"
      ? [{ id: request.id, grant: request.grant, until: request.active.until }]
      : [],
  );
}

/** Those that are still shown, newest first: not what ended long ago, or before many others. */
export function shownRequests(known: readonly AccessRequest[], now: number): AccessRequest[] {
  const ended = known
    .map((request) => ({ request, at: endOf(request, now) }))
    .filter((one): one is { request: AccessRequest; at: number } => one.at !== undefined)
    .sort((one, other) => other.at - one.at);
  const kept = new Set(
    ended
      .slice(0, MAX_ENDED_REQUESTS)
      .filter(({ at }) => now < at + ENDED_SHOWN_FOR_MS)
      .map(({ request }) => request),
  );
  return known
    .filter((request) => endOf(request, now) === undefined || kept.has(request))
    .sort((one, other) => other.requestedAt - one.requestedAt || (one.id < other.id ? 1 : -1));
}

/**
 * Why no session may begin with these grants: one of them is over, or was taken back. The edge may have heard
 * of it some seconds later than this object.
 *
 * @param grants of a session's plan
 */
export function refuseEndedGrants(
  known: readonly AccessRequest[],
  grants: readonly ActiveGrant[],
  now: number,
): Denial | undefined {
  for (const { id, grant, until } of grants) {
    const request = known.find((one) => one.id === id);
    if (request?.ended)
      return denial("access_ended", `the access ${JSON.stringify(grant)} ${takenBack(request)}: ${ASK_AGAIN}`);
    if (now >= until) return denial("access_ended", `the access ${JSON.stringify(grant)} is over: ${ASK_AGAIN}`);
  }
  return undefined;
}

/** What the person reads whose session ends because its access was taken back. */
export function revocationMessage(request: AccessRequest): string {
  return `session ended: the access ${JSON.stringify(request.grant)} was taken back by ${whoAndWhen(request)}`;
}

type Approval = AccessRequest["approvals"][number];
type Made = Omit<Approval, "minutes">;

function findOpen(known: readonly AccessRequest[], grant: string, now: number): AccessRequest | undefined {
  const open = known.filter((request) => request.grant === grant && endOf(request, now) === undefined);
  return open.find(({ active }) => active) ?? open[0];
}

/** When it ended; undefined for one that is pending or active. */
function endOf(request: AccessRequest, now: number): number | undefined {
  const state = accessStateOf(request, now);
  if (state === "pending" || state === "active") return undefined;
  return request.ended?.at ?? request.active?.until ?? request.expiresAt;
}

function approveOwn(request: AccessRequest, { person, reason, minutes }: AskedAccess, now: number): AccessRequest {
  const approval = { ...madeBy(person, reason, now), minutes };
  return withApproval({ ...request, needed: 1, isSelfApproved: true }, approval, minutes, now);
}

function withApproval(request: AccessRequest, approval: Approval, maxMinutes: number, now: number): AccessRequest {
  const approvals = [...request.approvals, approval];
  if (approvals.length < request.needed) return { ...request, approvals };
  const given = approvals.map(({ minutes }) => minutes ?? request.minutes);
  const minutes = Math.min(request.minutes, maxMinutes, ...given);
  return { ...request, approvals, active: { since: now, until: now + minutes * MINUTE_MS } };
}

function madeBy({ user, subject, kubernetesUser }: NamedPerson, reason: string | null, at: number): Made {
  return { by: user, subject, kubernetesUser, at, reason };
}

function asPerson({ by, subject, kubernetesUser }: Made): NamedPerson {
  return { user: by, subject, kubernetesUser };
}

function withUsers(person: NamedPerson, users: KnownUsers): DecidingPerson {
  return { ...person, kubernetesUsers: users[person.user] ?? [] };
}

const ASK_AGAIN = "ask for it again";
const NOT_FOUND = denial(
  "access_not_found",
  "there is no request for access with this id: those that ended more than 7 days ago are in the audit log alone",
);
const OWN_REQUEST = denial(
  "access_own_request",
  "nobody decides their own request for access, under whatever identity: ask somebody else who may approve it; " +
    "kubectl delete --raw /-/access/ID  withdraws it",
);

function tooManyPending(pending: number): Denial {
  const message =
    `${pending} of your requests for access wait for a decision, the most allowed: wait until one is decided, or ` +
    "withdraw one with  kubectl delete --raw /-/access/ID  (kubectl get --raw /-/access lists them)";
  return denial("access_limit", message);
}

function tooManyToday(nextAt: number): Denial {
  const message =
    `you have asked for access ${MAX_REQUESTS_PER_DAY} times within 24 hours, the most allowed: ` +
    `try again after ${timeOf(nextAt)}`;
  return denial("access_limit", message);
}

function alreadyApproved(at: number, missing: number): Denial {
  const others = missing === 1 ? "one more approval, by somebody else" : `${missing} more approvals, by others`;
  return denial("access_already_decided", `you approved this request at ${timeOf(at)}: it needs ${others}`);
}

/** @param request that is no longer pending */
function alreadyDecided(request: AccessRequest, now: number): Denial {
  return denial("access_already_decided", `this request for access ${whatBecameOf(request, now)}`);
}

function whatBecameOf(request: AccessRequest, now: number): string {
  const { ended, active, expiresAt, approvals } = request;
  const askAgain = "nothing has changed, and its person can ask again";
  switch (accessStateOf(request, now)) {
    case "denied":
      return `was denied by ${ended?.by} at ${timeOf(ended?.at)}: ${askAgain}`;
    case "revoked":
      return `${takenBack(request)}: ${askAgain}`;
    case "expired":
      return `expired at ${timeOf(expiresAt)}, for not enough people approved it in time: ${askAgain}`;
    case "ended":
      return `was approved, and ended at ${timeOf(active?.until)}: ${askAgain}`;
    case "active":
    case "pending": {
      const by = approvals.map((approval) => approval.by).join(" and ");
      return (
        `was approved by ${by} at ${timeOf(active?.since)}, and holds until ${timeOf(active?.until)}: ` +
        "kubectl delete --raw /-/grants/ID  takes it back"
      );
    }
  }
}

function takenBack(request: AccessRequest): string {
  const by = whoAndWhen(request);
  return request.active ? `was taken back by ${by}` : `was withdrawn by ${by}`;
}

function whoAndWhen({ ended }: AccessRequest): string {
  const why = ended?.reason ? ` (${ended.reason})` : "";
  return `${ended?.by} at ${timeOf(ended?.at)}${why}`;
}

function timeOf(at: number | undefined): string {
  return new Date(at ?? 0).toISOString();
}
