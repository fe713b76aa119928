import type { AccessEventBody } from "../../audit/access-events.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { AccessRequest, DecidingPerson } from "../../contract/access.ts";
import type { Denial } from "../../contract/denial.ts";
import { currentLock, denyLocked } from "../../contract/person-state.ts";
import type { LocationHint } from "../../contract/placement.ts";
import type { UserObjectFields, UserObjectValue } from "../../contract/user-object.ts";
import type { AuditLog } from "../audit-log.ts";
import type { AccessReporter } from "../directory/access-reporter.ts";
import type { LiveSessions } from "../session/live-sessions.ts";
import type { CopiedEverywhere } from "../state-copies.ts";
import type { UserLocks } from "../storage/user-locks.ts";
import { askForAccess, decideAccess, endAccess, shownRequests } from "./access-rules.ts";

/** What decisions about access work on. */
interface AccessDependencies {
  readonly locks: UserLocks;
  readonly audit: Pick<AuditLog, "appendUserEvent">;
  readonly sessions: Pick<LiveSessions, "endWithAccess">;
  readonly directory: Pick<AccessReporter, "report">;
  /** Makes an id that leads to this object. */
  readonly makeId: () => string;
  /** Copies what holds to the user's other objects. */
  readonly copy: (user: string, copyTo: readonly LocationHint[]) => Promise<CopiedEverywhere>;
  /** The other objects that lack what was decided before. */
  readonly notReached: () => LocationHint[];
}

type Answer<M extends "requestAccess" | "decideAccess" | "endAccess"> = Promise<Result<UserObjectValue<M>, Denial>>;

/**
 * Requests for access of the user, in the object that decides. Each change is in the audit log and in the
 * other objects before it is answered. The directory is told, and nothing depends on whether it hears.
 */
export class AccessDecisions {
  readonly #dependencies: AccessDependencies;

  constructor(dependencies: AccessDependencies) {
    this.#dependencies = dependencies;
  }

  /** Newest first. */
  list(): AccessRequest[] {
    return shownRequests(this.#dependencies.locks.access.all, Date.now());
  }

  describe(id: string): AccessRequest | null {
    return this.list().find((request) => request.id === id) ?? null;
  }

  /** Refuses whoever is locked, too: nothing opens for them, and nobody should be asked. */
  async request({ copyTo, ...asked }: UserObjectFields<"requestAccess">): Answer<"requestAccess"> {
    const { locks, makeId, notReached } = this.#dependencies;
    const now = Date.now();
    const lock = currentLock(locks.lock, now);
    if (lock) return err(denyLocked(lock));
    const made = askForAccess(locks.access.all, asked, makeId(), now);
    if (!made.ok) return made;
    const { request, isNew, approvedItself } = made.value;
    if (!isNew && !approvedItself) {
      locks.access.addUsers(request.id, asked.person);
      return ok({ request, isNew, notReached: notReached() });
    }
    if (isNew) this.#append(requestEvent(request));
    if (approvedItself) this.#append(decisionEvent(request, true));
    this.#write(request, now, asked.person);
    const copied = await this.#spread(request, copyTo);
    return ok({ request, isNew, notReached: copied.notReached });
  }

  /** Nobody approves anything for whoever is locked: it would hold once the lock is lifted. */
  async decide({ id, copyTo, ...vote }: UserObjectFields<"decideAccess">): Answer<"decideAccess"> {
    const { access, lock: lastLock } = this.#dependencies.locks;
    const now = Date.now();
    const decided = decideAccess(this.#find(id, now), vote, access.usersOf(id), now);
    if (!decided.ok) return decided;
    const lock = currentLock(lastLock, now);
    if (lock && vote.decision === "approve") return err(denyLocked(lock));
    const request = decided.value;
    this.#append(decisionEvent(request, false));
    this.#write(request, now, vote.by);
    const { notReached } = await this.#spread(request, copyTo);
    return ok({ request, notReached });
  }

  async end({ id, by, reason, copyTo }: UserObjectFields<"endAccess">): Answer<"endAccess"> {
    const now = Date.now();
    const changed = endAccess(this.#find(id, now), by, reason, now);
    if (!changed.ok) return changed;
    const request = changed.value;
    const { id: access_id, grant, person } = request;
    this.#append({ type: "access_end", data: { access_id, user: person.user, grant, by: by.user, reason } });
    this.#write(request, now);
    const endedHere = this.#dependencies.sessions.endWithAccess([request]);
    const { ended, notReached } = await this.#spread(request, copyTo);
    return ok({ request, ended: [...endedHere, ...ended], notReached });
  }

  #find(id: string, now: number): AccessRequest | undefined {
    return shownRequests(this.#dependencies.locks.access.all, now).find((request) => request.id === id);
  }

  #append(event: AccessEventBody): void {
    this.#dependencies.audit.appendUserEvent(event);
  }

  /** @param by who asks or decides; none where that ends it */
  #write(request: AccessRequest, now: number, by?: DecidingPerson): void {
    const { locks } = this.#dependencies;
    const others = locks.access.all.filter(({ id }) => id !== request.id);
    locks.advanceVersion(now);
    locks.access.replaceAll(shownRequests([...others, request], now), by && { id: request.id, by });
  }

  /** Tells all who must know before the answer, and the directory, which may be late. */
  async #spread({ person }: AccessRequest, copyTo: readonly LocationHint[]): Promise<CopiedEverywhere> {
    const { copy, directory } = this.#dependencies;
    const [copied] = await Promise.all([copy(person.user, copyTo), directory.report()]);
    return copied;
  }
}

function requestEvent({ id, person, grant, minutes, reason, purpose, expiresAt }: AccessRequest): AccessEventBody {
  const about = { access_id: id, user: person.user, grant, kubernetes_user: person.kubernetesUser };
  return { type: "access_request", data: { ...about, minutes, reason, purpose, expires_at: expiresAt } };
}

/** @param request as its last decision left it */
function decisionEvent(request: AccessRequest, isOwn: boolean): AccessEventBody {
  const { id, person, grant, approvals, needed, ended, active } = request;
  const last = ended ?? approvals.at(-1);
  return {
    type: "access_decision",
    data: {
      ...{ access_id: id, user: person.user, grant, by: last?.by ?? person.user },
      ...{ decision: ended ? "deny" : "approve", reason: last?.reason ?? null },
      ...{ approvals: approvals.length, needed, until: active?.until ?? null, self_approved: isOwn },
    },
  };
}
