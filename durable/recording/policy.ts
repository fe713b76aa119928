import type { SessionKind } from "../../kubernetes/session-target.ts";

/** Output of one channel within this time is one event. Two frames of a 30 Hz screen stay two. */
export const MERGE_MS = 30;
/** An event's text is not larger than this and one slice: players take an event whole. */
export const MERGE_BYTES = 64 * 1024;
/**
 * Written output is kept in memory until there is so much of it, or FLUSH_MS have gone by. Large, because SQLite's price is
 * by the commit: in chunks of 256 KiB it took four times the processor's time. A row may have 2 MB.
 */
export const CHUNK_BYTES = 992 * 1024;
/** Half of the promise that a crash loses at most the last second: on a busy machine the timer comes late. */
export const FLUSH_MS = 400;
/** R2 wants parts of at least 5 MiB, all but the last of the same size. */
export const PART_BYTES = 5 * 1024 * 1024;
/** What all recordings of one object may hold in its SQLite while R2 takes nothing. The platform's own limit is 10 GB. */
export const MAX_SPOOL_BYTES = 512 * 1024 * 1024;
/**
 * Up to so much may wait while the object relays a burst: both cost its one thread, and what waits is durable. With more
 * than this, uploads go on whatever else there is to do.
 */
export const UPLOAD_PRESSURE_RATIO = 1 / 4;
/** One answer of the object to a reader of a recording that R2 does not have yet: far below the limit of a call. */
export const READ_BLOCK_BYTES = 1024 * 1024;

/** A terminal to look at is a recording; a tunnel's bytes, or a screen's, are none. */
export function isRecordable(kind: SessionKind): boolean {
  switch (kind) {
    case "exec":
    case "attach":
    case "console":
      return true;
    case "port-forward":
    case "proxy":
    case "vnc":
    case "usbredir":
    case "vsock":
    case "vm-port-forward":
      return false;
  }
}

/** `67108864` → `64 MiB`. */
export function inUnits(bytes: number): string {
  if (bytes >= 1024 * 1024) return `${Math.round(bytes / (1024 * 1024))} MiB`;
  return bytes >= 1024 ? `${Math.round(bytes / 1024)} KiB` : `${bytes} bytes`;
}
