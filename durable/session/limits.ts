/** When a session reaches one of its limits. Pure: the time is an argument. */
import type { ActiveGrant } from "../../contract/access.ts";
import type { SessionLimits } from "../../contract/limits.ts";
import { inUnits } from "../recording/policy.ts";
import type { InputOverflow } from "../relay/upstream-writer.ts";

export type ReachedLimit = {
  readonly outcome:
    | "idle_limit"
    | "duration_limit"
    | "token_expired"
    | "access_ended"
    | "stalled"
    | "protocol_error"
    | "failed";
  readonly message: string;
};

/** @returns the limit that a session has reached at `now`, if any. Times in milliseconds. */
export function findReachedLimit(
  session: {
    readonly startedAt: number;
    readonly activeAt: number;
    readonly endsAt?: number | null;
    /** Those that it was opened with. */
    readonly grants?: readonly ActiveGrant[];
    /** What it waits for before it begins, if it does: then neither duration nor use counts. */
    readonly wait?: unknown;
    /** Nobody watches it although somebody must: then use does not count. */
    readonly isFrozen?: boolean;
    /** When that was over, ms since the epoch. */
    readonly thawedAt?: number | undefined;
    /** Since when its duration counts, where not since its start. */
    readonly countsSince?: number;
  },
  limits: SessionLimits,
  now: number,
): ReachedLimit | undefined {
  if (session.endsAt && now >= session.endsAt) {
    return {
      outcome: "token_expired",
      message: "session ended: the sign-in that opened it has expired; sign in again",
    };
  }
  const over = session.grants?.find(({ until }) => now >= until);
  if (over) {
    const message = `session ended: the access ${JSON.stringify(over.grant)} that it was opened with is over; ask for it again`;
    return { outcome: "access_ended", message };
  }
  if (session.wait) return undefined;
  if (now - (session.countsSince ?? session.startedAt) >= limits.maxDurationSeconds * 1000) {
    const message = `session ended: it reached the longest duration allowed (${formatDuration(limits.maxDurationSeconds)})`;
    return { outcome: "duration_limit", message };
  }
  if (session.isFrozen) return undefined;
  if (now - Math.max(session.activeAt, session.thawedAt ?? 0) >= limits.idleTimeoutSeconds * 1000) {
    const message = `session ended: idle for ${formatDuration(limits.idleTimeoutSeconds)}, the longest allowed`;
    return { outcome: "idle_limit", message };
  }
  return undefined;
}

/** What the memory of a session waits for: a side that reads, or the rest of a message of the cluster's. */
export type WaitsFor = "client" | "cluster" | "message";

/** The limit of the session that holds the most, where all together hold too much. */
export function overfullLimit(waitsFor: WaitsFor): ReachedLimit {
  if (waitsFor !== "message") return stalledLimit(waitsFor);
  const message = "session ended: a message of the cluster's is too large for the sessions that are open beside it";
  return { outcome: "stalled", message };
}

/** The limit of a session of which one side has stopped reading. */
export function stalledLimit(reader: "client" | "cluster"): ReachedLimit {
  const who = reader === "client" ? "its client" : "the cluster";
  return { outcome: "stalled", message: `session ended: ${who} stopped reading what it was sent` };
}

/** The limit of a session whose command does not take its stdin. @param maxBytes what may be stored of it */
export function stdinLimit(overflow: InputOverflow["kind"], maxBytes: number): ReachedLimit {
  const unread = "session ended: its command does not read its input";
  switch (overflow) {
    case "full": {
      const bound = maxBytes > 0 ? `${inUnits(maxBytes)} of it wait, the most allowed` : "none of it may be stored";
      return { outcome: "stalled", message: `${unread}, and ${bound}` };
    }
    case "held": {
      const message =
        "session ended: it is held until somebody has approved it or watches it, and as much input as may be stored " +
        "waits with it: run this again once that is so";
      return { outcome: "stalled", message };
    }
    case "unmeasured":
      return { outcome: "stalled", message: `${unread}, as far as Sallyport can tell on this version of workerd` };
    case "storage":
      return { outcome: "failed", message: `${unread}, and Sallyport could not store what waits: try again` };
  }
}

/** The limit of a session that is held while its cluster sends on, and cannot be told to wait. */
export const HELD_OUTPUT_LIMIT: ReachedLimit = {
  outcome: "stalled",
  message: "session ended: nobody watches it, and as much of its output waits as may be held",
};

/**
 * What all sessions of an object, live and ended, may hold for readers that have not taken it. One session
 * alone may hold MAX_UNSENT_BYTES for each side, but an object has 128 MB for everything.
 */
export const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/**
 * Finds the session to end if too much waits in memory: the one that holds the most.
 *
 * @param unreadBytes what ended sessions still hold
 */
export function findOverfullSession<S extends { readonly waitingBytes: number }>(
  live: Iterable<S>,
  unreadBytes: number,
): S | undefined {
  const sessions = [...live].sort((one, other) => other.waitingBytes - one.waitingBytes);
  const all = sessions.reduce((bytes, { waitingBytes }) => bytes + waitingBytes, unreadBytes);
  return all > MAX_WAITING_BYTES ? sessions[0] : undefined;
}

/** From here on no session opens: what ended sessions still hold must leave room for live ones. */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;

/** Formats as kubectl does ages: `5400` → `1h30m`. */
export function formatDuration(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = seconds % 60;
  return [hours && `${hours}h`, minutes && `${minutes}m`, rest && `${rest}s`].filter(Boolean).join("") || "0s";
}
