import { concatBytes } from "../../common/bytes.ts";
import type { RecordingBlock } from "../../contract/recording.ts";
import { markerLine, noticeLine } from "./cast-lines.ts";
import { inUnits, PART_BYTES } from "./policy.ts";
import type { Spool } from "./spool.ts";

const LINE_FEED = 0x0a;

/**
 * Reads from a recording in the object's SQLite.
 *
 * Parts that R2 has cannot be read before the upload is complete. Of a long recording that still goes on,
 * readers get its header, a notice about what is missing, and its latest part.
 *
 * @param offset in the cast
 * @param length the block's largest size; every line must fit
 * @returns null where this object has no such recording
 */
export function readSpooled(spool: Spool, sessionId: string, offset: number, length: number): RecordingBlock | null {
  const recording = spool.find(sessionId);
  if (!recording) return null;
  const byteLength = spool.byteLength(recording);
  const inR2 = recording.partEtags.length * PART_BYTES;
  const start = Math.max(offset, inR2);
  const read = spool.bytes(recording, start, Math.max(0, Math.min(length, byteLength - start)));
  const isLast = start + read.length >= byteLength;
  const end = isLast ? read.length : read.lastIndexOf(LINE_FEED) + 1;
  const next = start + end;
  if (offset >= inR2) return { bytes: read.subarray(0, end), next, isLast };

  // The border of a part may be in the middle of a line.
  const lines = read.subarray(read.indexOf(LINE_FEED) + 1, end);
  const seconds = Number(/^\[([\d.]+),/.exec(new TextDecoder().decode(lines.subarray(0, 32)))?.[1] ?? 0);
  const missing = inUnits(inR2 - offset);
  const notice = `${missing} before this are on their way to the bucket, readable when the session has ended`;
  const header = offset === 0 ? (spool.header(sessionId) ?? "") : "";
  const prefix = header + markerLine(seconds, notice) + noticeLine(seconds, notice);
  return { bytes: concatBytes([new TextEncoder().encode(prefix), lines]), next, isLast };
}
