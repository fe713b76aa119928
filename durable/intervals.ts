/** Intervals of the user's object, ms. The sizing model uses them. */

/** How often limits are checked, so a session ends at most this late. */
export const TICK_MS = 1_000;
/** How often the counts of a session are saved: a crash loses at most these counts. */
export const CHECKPOINT_MS = 5_000;
/** A peer that has not answered a close frame after this time is cut off. */
export const CLOSE_GRACE_MS = 5_000;
/** While sessions are open an alarm is always due, so that a crashed object wakes up and ends them. */
export const HEARTBEAT_MS = 30_000;
/** How often an object with live sessions tells the directory about them, where few do. */
export const REPORT_MS = 5_000;
