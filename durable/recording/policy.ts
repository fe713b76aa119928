/** Output of one channel within this time becomes one event. Two frames of a 30 Hz screen stay two. */
export const MERGE_MS = 30;
/** An event's text is at most this and one slice, because players process an event as a whole. */
export const MERGE_BYTES = 64 * 1024;
/**
 * Written output stays in memory until there is so much of it, or until FLUSH_MS have passed. A chunk is one
 * row of SQLite, which the platform allows 2 MB. It is large because each commit waits for the disk: 64 MiB
 * took 1.06 s in chunks of 992 KiB, and 0.81 s in these.
 */
export const CHUNK_BYTES = 1_664 * 1024;
/** Half of the promised second that a crash may lose, because timers are late on a busy machine. */
export const FLUSH_MS = 400;
/** R2 requires parts of at least 5 MiB, and all but the last of the same size. */
export const PART_BYTES = 5 * 1024 * 1024;
/** What all recordings of an object may hold in its SQLite while R2 is down, of the platform's 10 GB. */
export const MAX_SPOOL_BYTES = 512 * 1024 * 1024;
/**
 * While the object relays a burst, uploads wait: both need its one thread, and what waits is durable. Above
 * this share of MAX_SPOOL_BYTES they run all the same.
 */
export const UPLOAD_PRESSURE_RATIO = 1 / 4;
/** The largest answer to a reader of a recording that R2 lacks. The platform's limit is 32 MiB. */
export const READ_BLOCK_BYTES = 1024 * 1024;

/** `67108864` → `64 MiB`. */
export function inUnits(bytes: number): string {
  if (bytes >= 1024 * 1024) return `${Math.round(bytes / (1024 * 1024))} MiB`;
  return bytes >= 1024 ? `${Math.round(bytes / 1024)} KiB` : `${bytes} bytes`;
}
