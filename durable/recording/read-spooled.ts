import { concatBytes } from "../../common/bytes.ts";
import type { RecordingBlock } from "../../contract/recording.ts";
import { markerLine, noticeLine } from "./cast-lines.ts";
import { inUnits, PART_BYTES } from "./policy.ts";
import type { Spool } from "./spool.ts";

const LINE_FEED = 0x0a;

/**
 * Reads from a recording in the object's SQLite.
 *
 * Parts that R2 has are not to be had before the upload is complete: of a long recording that still goes on, readers get
 * its header, words about what is missing, and its latest part.
 *
 * @param length the block's largest size; every line must fit
 * @returns null where there is no such recording here
 */
export function readSpooled(spool: Spool, id: string, offset: number, length: number): RecordingBlock | null {
  const recording = spool.find(id);
  if (!recording) return null;
  const size = spool.size(recording);
  const inR2 = recording.etags.length * PART_BYTES;
  const start = Math.max(offset, inR2);
  const read = spool.bytes(recording, start, Math.max(0, Math.min(length, size - start)));
  const isLast = start + read.length >= size;
  const end = isLast ? read.length : read.lastIndexOf(LINE_FEED) + 1;
  const next = start + end;
  if (offset >= inR2) return { bytes: read.subarray(0, end), next, isLast };

  // A part's border may be in the middle of a line.
  const lines = read.subarray(read.indexOf(LINE_FEED) + 1, end);
  const seconds = Number(/^\[([\d.]+),/.exec(new TextDecoder().decode(lines.subarray(0, 32)))?.[1] ?? 0);
  const words = `${inUnits(inR2 - offset)} before this are on their way to the bucket, readable when the session has ended`;
  const prefix = `${offset === 0 ? (spool.header(id) ?? "") : ""}${markerLine(seconds, words)}${noticeLine(seconds, words)}`;
  return { bytes: concatBytes([new TextEncoder().encode(prefix), lines]), next, isLast };
}
