import * as z from "zod";
import type { RateLimit } from "../common/rate-limiter.ts";

/** The limits of one session, as the configuration document and the matching rule set them. */
export const sessionLimitsSchema = z
  .strictObject({
    maxSessionsPerUser: z.int().positive(),
    idleTimeoutSeconds: z.int().positive(),
    maxDurationSeconds: z.int().positive(),
    /** A session ends when its reader takes nothing for so long although data waits for it. */
    stallTimeoutSeconds: z.int().positive(),
    /**
     * Input that the cluster does not take waits in the object's SQLite up to this; beyond it the session
     * ends.
     */
    maxBufferedStdinBytes: z.int().nonnegative(),
  })
  .readonly();
export type SessionLimits = z.output<typeof sessionLimitsSchema>;

/** What happens to a port-forward whose frames cannot be read, so that its ports and bytes are not known. */
export const portForwardPolicySchema = z.strictObject({ onUnreadable: z.enum(["end", "continue"]) }).readonly();
export type PortForwardPolicy = z.output<typeof portForwardPolicySchema>;

/**
 * What the events of one person's sessions may add to D1 in a day, in each of their objects, unless the
 * configuration says otherwise. A usual session adds 2 KB, so that these are 100,000: five times what a busy
 * CI needs. Without a bound, one person fills the database of all within two days.
 */
export const DEFAULT_MAX_SESSION_BYTES_PER_DAY = 200_000_000;

/** What happens to new sessions while D1 does not accept events, and when there have been too many. */
export const auditPolicySchema = z
  .strictObject({
    onOutage: z.enum(["buffer", "fail-closed"]),
    maxQueuedEvents: z.int().positive(),
    maxSessionBytesPerDay: z.int().positive(),
  })
  .readonly();
export type AuditPolicy = z.output<typeof auditPolicySchema>;

/**
 * How many refusals of one user are written to the audit log, by the edge and by the user's object each. More
 * than a person or a retrying script causes, but too few to fill the log: each costs two rows there.
 */
export const REFUSED_ATTEMPTS_LIMIT: RateLimit = { maxPerWindow: 120, windowMs: 60_000 };
