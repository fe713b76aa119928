import type { RateLimit } from "../common/rate-limiter.ts";

/** The limits of one session, as the configuration document and the matching rule set them. */
export interface SessionLimits {
  readonly maxSessionsPerUser: number;
  readonly idleTimeoutSeconds: number;
  readonly maxDurationSeconds: number;
  /** A session ends when its reader takes nothing for so long although data waits for it. */
  readonly stallTimeoutSeconds: number;
}

/** What happens to new sessions while D1 does not accept events. */
export interface AuditPolicy {
  readonly onOutage: "buffer" | "fail-closed";
  readonly maxQueuedEvents: number;
}

/**
 * How many refusals of one user are written to the audit log, by the edge and by the user's object each. More than a person or
 * a retrying script causes, but too few to fill the log: each costs two rows there.
 */
export const REFUSED_ATTEMPTS_LIMIT: RateLimit = { maxPerWindow: 120, windowMs: 60_000 };
