/** How often the user's object does what it does by the clock, ms. The sizing model counts with these. */

/** How often limits are looked at: a limit is reached at most this much late. */
export const TICK_MS = 1_000;
/** How much of the counts a crash may lose. */
export const CHECKPOINT_MS = 5_000;
/** A close frame only asks. Who has not answered it after so long is cut off. */
export const CLOSE_GRACE_MS = 5_000;
/** While sessions are open an alarm is always due, so that a crashed object is woken and closes them. */
export const HEARTBEAT_MS = 30_000;
