/** Whether one more session of a user may open. Pure: state, plan and time are arguments. */
import type { UserLock } from "../../audit/events.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { AccessRequest } from "../../contract/access.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { currentLock, denyLocked } from "../../contract/person-state.ts";
import type { SessionPlan } from "../../contract/session-plan.ts";
import { refuseEndedGrants } from "../access/access-rules.ts";
import { MAX_WAITING_SESSIONS } from "./approval.ts";
import { MAX_UNREAD_BYTES } from "./limits.ts";
import { MAX_SESSIONS_PER_MINUTE } from "./session-rate.ts";

/** What a user stated about the sessions that they open next. */
export interface AccessReason {
  readonly reason: string;
  /** Until when it counts, ms since the epoch. */
  readonly until: number;
}

/** What admission needs to know about a user's object. */
export interface AdmissionState {
  readonly openSessions: number;
  /** Sessions that wait before they begin; not among the open ones. */
  readonly waitingSessions: number;
  /** Bytes in memory that clients of ended sessions have not read. */
  readonly unreadBytes: number;
  /** Events that D1 does not have yet. */
  readonly queuedEvents: number;
  /** The last lock and the last stated reason, whether they still hold or not. */
  readonly lock: UserLock | undefined;
  readonly accessReason: AccessReason | undefined;
  /** What the events of sessions have added to D1 today. */
  readonly sessionBytesToday: number;
  /** The user's requests for access, as this object knows them. */
  readonly access: readonly AccessRequest[];
  /** After how many ms the rate of sessions lets the next one begin; 0 for at once. */
  readonly nextSessionInMs: number;
  /** The cluster has refused too many of the user's attempts within a minute. */
  readonly hasTooManyRefusals: boolean;
}

/** A session that may open. */
export interface Admission {
  /** What its user stated that it is for, if they did. */
  readonly accessReason: string | undefined;
}

/** @param now ms since the epoch */
export function admit(state: AdmissionState, plan: SessionPlan, now: number): Result<Admission, Denial> {
  const lock = currentLock(state.lock, now);
  if (lock) return err(denyLocked(lock));

  const ended = refuseEndedGrants(state.access, plan.grants, now);
  if (ended) return err(ended);

  const accessReason = currentReason(state.accessReason, now);
  if (plan.requireReason && accessReason === undefined) return err(denial("reason_required", REASON_REQUIRED));

  // One that waits takes no place before it begins.
  const waits = plan.approval ?? plan.moderation;
  const noPlace = waits ? refuseToWait(state.waitingSessions) : refuseWithoutPlace(plan, state.openSessions);
  if (noPlace) return err(noPlace);
  const { maxSessionBytesPerDay } = plan.audit;
  if (state.sessionBytesToday >= maxSessionBytesPerDay)
    return err(denial("too_many_sessions", tooMuchToday(maxSessionBytesPerDay)));
  if (state.nextSessionInMs > 0) return err(denial("too_many_sessions", tooManySessions(state.nextSessionInMs)));
  if (state.unreadBytes >= MAX_UNREAD_BYTES) return err(denial("unread_output", UNREAD_OUTPUT));
  if (state.queuedEvents >= plan.audit.maxQueuedEvents) return err(denial("audit_unavailable", QUEUE_FULL));
  if (state.hasTooManyRefusals) return err(denial("too_many_refusals", TOO_MANY_REFUSALS));
  return ok({ accessReason });
}

/** Why one more of the user's sessions may not run, if so. @param running how many do beside it */
export function refuseWithoutPlace({ user, limits }: SessionPlan, running: number): Denial | undefined {
  if (running < limits.maxSessionsPerUser) return undefined;
  const count = `${running} of ${limits.maxSessionsPerUser} allowed sessions open`;
  return denial("session_limit", `${user} has ${count}; ${HOW_TO_END_ONE}`);
}

function refuseToWait(waiting: number): Denial | undefined {
  if (waiting < MAX_WAITING_SESSIONS) return undefined;
  return denial("session_limit", `${waiting} of your sessions wait to begin, the most allowed: end one of them`);
}

/** The stated reason if it still counts at `now`. */
export function currentReason(stated: AccessReason | undefined, now: number): string | undefined {
  return stated && now < stated.until ? stated.reason : undefined;
}

const PERSISTS = "if this persists, contact your administrator";
const HOW_TO_END_ONE =
  "kubectl get --raw /-/sessions  lists them, kubectl delete --raw /-/sessions/ID  ends one: then try again";
const REASON_REQUIRED =
  'this session requires a reason: run  echo "why" | kubectl create --raw /-/reason -f -  ' +
  "and try again within 15 minutes";
const tooManySessions = (waitMs: number) =>
  `you have opened ${MAX_SESSIONS_PER_MINUTE} sessions within a minute, or fewer with very much to log: ` +
  `try again in ${Math.ceil(waitMs / 1_000)} s`;
/** Without a time to try again: clients would wait for it in silence. */
const tooMuchToday = (bytes: number) =>
  `your sessions have added ${Math.round(bytes / 1e6)} MB to the audit log today, which is as much as they may, and ` +
  "the day ends at 00:00 UTC: try again then, with one session for many commands, or ask your administrator to " +
  "raise audit.maxSessionBytesPerDay";
const UNREAD_OUTPUT = "earlier sessions ended with much of their output unread: close their clients and try again";
const QUEUE_FULL = `the audit database does not accept events, and too many wait for it: try again; ${PERSISTS}`;
const TOO_MANY_REFUSALS = "the cluster refused too many of your sessions within a minute: try again in a minute";

/** With `onOutage: fail-closed`, a session opens only after D1 has its start. */
export const START_NOT_AUDITED: Denial = denial(
  "audit_unavailable",
  `the audit database does not accept events, and must have this session's start first: try again; ${PERSISTS}`,
);
