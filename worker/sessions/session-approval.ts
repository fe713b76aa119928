/** Sessions that wait for an approval instead of being refused. */

import { err, ok, type Result } from "../../common/result.ts";
import { accessStateOf, type DecidingPerson } from "../../contract/access.ts";
import type { LocationHint } from "../../contract/placement.ts";
import type { SessionApproval } from "../../contract/session-plan.ts";
import type { SessionTarget } from "../../kubernetes/classify.ts";
import type { Subject } from "../access/subject.ts";
import type { Grant } from "../config/schema.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import { defaultMinutes, howToAsk, whoMayApprove } from "../policy/approvals.ts";
import type { Decision, SessionDecision } from "../policy/decide.ts";
import { type GrantDenial, type NeededApproval, PENDING_GRANT } from "../policy/decide-with-grants.ts";
import { purposeOf } from "../policy/purpose.ts";
import { invokeUserObject, userObjectAddress } from "./user-objects.ts";

const MINUTE_MS = 60_000;

/** What is decided about a request, and what it waits for, if it does. */
export interface Waiting {
  readonly decision: Decision;
  /** For sessions only. `decision` is then what holds once it is approved. */
  readonly needed: NeededApproval | undefined;
}

/**
 * Lets a refused request wait where it may: a shell of a person, over WebSocket, because only its protocol
 * can show that it waits. A grant that people approve for themselves is never waited for: they ask for it.
 */
export function waitWhereRefused(
  decided: Result<Decision, GrantDenial>,
  subject: Subject,
): Result<Waiting, GrantDenial> {
  if (decided.ok) return ok({ decision: decided.value, needed: undefined });
  const decision = waitingShell(decided.error, subject);
  return decision?.transport === "websocket" ? ok({ decision, needed: decided.error.needed }) : decided;
}

/**
 * What kubectl asks again over SPDY after a shell that may wait was refused over WebSocket. It shows the second
 * answer alone, and the person's object remembers the first.
 *
 * @returns for the object, which opens nothing over SPDY; undefined for everything else
 */
export function secondHalfOf(denied: GrantDenial, subject: Subject): SessionDecision | undefined {
  const decision = waitingShell(denied, subject);
  return decision?.transport === "spdy" ? decision : undefined;
}

/** @returns what holds once it is approved, without the grant that it needs; undefined where it may not wait */
function waitingShell({ needed }: GrantDenial, { email }: Subject): SessionDecision | undefined {
  if (!needed || needed.waitMinutes === 0 || email === undefined || needed.grant.selfApproval) return undefined;
  const { granted } = needed;
  if (granted.action !== "session" || !isShell(granted.target)) return undefined;
  return { ...granted, grants: granted.grants.filter(({ id }) => id !== PENDING_GRANT.id) };
}

export interface ApprovalQuestion {
  readonly needed: NeededApproval;
  readonly target: SessionTarget;
  /** Whose it is. */
  readonly person: DecidingPerson;
  readonly cluster: string;
  /** Of the request; the approver's address is at the same host. */
  readonly origin: string;
  /** The user's other objects, which are told of the request. */
  readonly copyTo: LocationHint[];
}

/**
 * Asks for the access that a session waits for. One that waits already is not asked for again.
 *
 * @param now ms since the epoch
 * @returns `approval_required` where the grant requires a reason and nobody has asked with one: a session has
 *   no place for it
 */
export async function askForApproval(
  namespace: Bindings["USER_SESSIONS"],
  { needed, target, person, cluster, origin, copyTo }: ApprovalQuestion,
  now: number,
): Promise<Result<SessionApproval, Denial>> {
  const { grant, waitMinutes } = needed;
  const address = userObjectAddress(namespace, person.user, null);
  if (grant.requireReason) {
    const listed = await invokeUserObject(namespace, address, "listAccess", {});
    if (!listed.ok) return listed;
    const isOpen = listed.value.some((request) => {
      const state = accessStateOf(request, now);
      return request.grant === grant.name && (state === "pending" || state === "active");
    });
    if (!isOpen) return err(reasonFirst(grant));
  }
  const asked = await invokeUserObject(namespace, address, "requestAccess", {
    ...{ person, grant: grant.name, minutes: defaultMinutes(grant) },
    ...{ reason: null, purpose: purposeOf(target, cluster), needed: grant.count, approvesItself: false, copyTo },
  });
  if (!asked.ok) return asked;
  const { request, isNew } = asked.value;
  return ok({
    ...{ accessId: request.id, grant: grant.name, waitUntil: now + waitMinutes * MINUTE_MS },
    // Otherwise it would be gone before anybody could decide.
    isOwnRequest: isNew && !isCopyProbe(target),
    ...{ howToApprove: `${whoMayApprove(grant)}: ${origin}/-/approvals/${request.id}`, copyTo },
  });
}

function reasonFirst(grant: Grant): Denial {
  const message = `this requires the grant ${grant.name}, and the grant a reason: ask for it with ${howToAsk(grant)}`;
  return denial("approval_required", `${message}; then try again, and it waits for the approval`);
}

/**
 * How `kubectl cp` into a pod begins: `test -d PATH`. It discards what the command prints, and gives up by
 * itself after a while, so nobody has read that it waits, and nobody has given up.
 */
function isCopyProbe({ command, tty, stdin }: SessionTarget): boolean {
  return !tty && !stdin && command.length === 3 && command[0] === "test" && command[1] === "-d";
}

function isShell({ sessionKind }: SessionTarget): boolean {
  return sessionKind === "exec" || sessionKind === "attach";
}
