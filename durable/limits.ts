/** The limits of a session, and when each of them is reached. Pure: the time is an argument. */
import type { AuditPolicy, SessionLimits } from "../contract/limits.ts";

/** @returns undefined when another session's events may wait for D1, else the words for the person who asked */
export function checkQueueLength(queuedEvents: number, policy: AuditPolicy): string | undefined {
  if (queuedEvents < policy.maxQueuedEvents) return undefined;
  return `${UNRECORDED_MESSAGE}, and too many events wait for it; try again, and tell your administrator if it stays`;
}

/** The words where no session may open without its start in D1. */
export const UNRECORDED_MESSAGE = "the audit database does not take the record of this session";

/** @returns undefined when one more session may open, else the words for the person who asked */
export function checkSessionCount(user: string, open: number, limits: SessionLimits): string | undefined {
  if (open < limits.maxSessionsPerUser) return undefined;
  return `${user} has ${open} of ${limits.maxSessionsPerUser} allowed sessions open; end one of them and try again`;
}

export type ReachedLimit = {
  readonly outcome: "idle_limit" | "duration_limit" | "token_expired" | "stalled";
  readonly message: string;
};

/** @returns the limit that a session has reached at `now`, if any. Times in milliseconds. */
export function findReachedLimit(
  session: { readonly startedAt: number; readonly activeAt: number; readonly endsAt?: number | null },
  limits: SessionLimits,
  now: number,
): ReachedLimit | undefined {
  if (session.endsAt && now >= session.endsAt) {
    return {
      outcome: "token_expired",
      message: "session ended: the sign-in that opened it has expired; sign in again",
    };
  }
  if (now - session.startedAt >= limits.maxDurationSeconds * 1000) {
    const message = `session ended: it reached the longest duration allowed (${formatDuration(limits.maxDurationSeconds)})`;
    return { outcome: "duration_limit", message };
  }
  if (now - session.activeAt >= limits.idleTimeoutSeconds * 1000) {
    const message = `session ended: idle for ${formatDuration(limits.idleTimeoutSeconds)}, the longest allowed`;
    return { outcome: "idle_limit", message };
  }
  return undefined;
}

/** The ending of a session one side of which has stopped reading. */
export function stalledLimit(reader: "client" | "upstream"): ReachedLimit {
  const who = reader === "client" ? "its client" : "the cluster";
  return { outcome: "stalled", message: `session ended: ${who} stopped reading what it was sent` };
}

/**
 * What all sessions of an object, live and over, may have given to readers who have not taken it. Each alone may have much
 * (see outlet.ts), but an object has 128 MB for everything.
 */
export const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/**
 * Where too much waits: the session to end, which is the one that has the most.
 *
 * @param overBytes what sessions that are over have left
 */
export function findOverfullSession<S extends { readonly waitingBytes: number }>(
  live: Iterable<S>,
  overBytes: number,
): S | undefined {
  const sessions = [...live].sort((one, other) => other.waitingBytes - one.waitingBytes);
  const all = sessions.reduce((bytes, { waitingBytes }) => bytes + waitingBytes, overBytes);
  return all > MAX_WAITING_BYTES ? sessions[0] : undefined;
}

/** What sessions that are over have left must leave room for those that live. */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

/** @returns undefined when there is room for another session, else the words for the person who asked */
export function checkUnreadBytes(unreadBytes: number): string | undefined {
  if (unreadBytes < MAX_UNREAD_BYTES) return undefined;
  return "earlier sessions were ended with much of their output unread; close their clients and try again";
}

/** The words for a user whose attempts the cluster goes on refusing: each is on record, and nothing to make. */
export const TOO_MANY_REFUSALS_MESSAGE =
  "the cluster refused too many of your sessions within a minute; try again in a minute";

/** `5400` → `1h30m`, in the manner of kubectl's ages. */
export function formatDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  return [hours && `${hours}h`, minutes && `${minutes}m`, rest && `${rest}s`].filter(Boolean).join("") || "0s";
}
