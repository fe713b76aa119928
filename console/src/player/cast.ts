/**
 * What the page reads of a recording beside the player: its markers, and its times. Pure.
 *
 * The format: docs/REFERENCE.md, "Recordings". A line that no writer of ours wrote is passed on as it is.
 */
import { isJsonObject, parseJson } from "../../../common/json.ts";

/** A moment that somebody may want to jump to. */
export interface Moment {
  /** Seconds in the recording. */
  readonly at: number;
  readonly label: string;
}

export interface PreparedCast {
  /** For the player: marks of stderr became markers, which it shows in its progress bar. */
  readonly text: string;
  /** Markers of the recording and of stderr, in order. */
  readonly moments: readonly Moment[];
  /** Whether there were more moments than are listed. */
  readonly hasMore: boolean;
  /** When it began, in whole seconds since the epoch; undefined where its header does not say so. */
  readonly beganAt: number | undefined;
}

/** The player makes an element of each marker. */
const MAX_MOMENTS = 200;
/** Errors that follow each other are one moment. */
const STDERR_GAP_SECONDS = 2;

const MARK = /^\[(\d+(?:\.\d+)?), ?"(m|e)", ?("(?:[^"\\]|\\.)*")\]$/gm;

/** Makes markers of the marks that say where stderr begins. @param cast an asciicast v2 */
export function prepareCast(cast: string): PreparedCast {
  const moments: Moment[] = [];
  let hasMore = false;
  let lastStderr = Number.NEGATIVE_INFINITY;
  const text = cast.replace(MARK, (line, seconds: string, code: string, quoted: string) => {
    const at = Number(seconds);
    const label = parseJson(quoted);
    if (typeof label !== "string" || (code === "e" && label !== "stderr")) return line;
    if (code === "e") {
      const isNew = at - lastStderr >= STDERR_GAP_SECONDS;
      lastStderr = at;
      if (!isNew) return line;
    }
    if (moments.length >= MAX_MOMENTS) {
      hasMore = true;
      return line;
    }
    moments.push({ at, label });
    return code === "e" ? `[${seconds}, "m", ${quoted}]` : line;
  });
  return { text, moments, hasMore, beganAt: readBeganAt(cast) };
}

/** https://docs.asciinema.org/manual/asciicast/v2/#header: the first line. */
function readBeganAt(cast: string): number | undefined {
  const header = parseJson(cast.slice(0, Math.max(0, cast.indexOf("\n"))));
  const timestamp = isJsonObject(header) ? header["timestamp"] : undefined;
  return typeof timestamp === "number" && Number.isFinite(timestamp) ? timestamp : undefined;
}

/**
 * The moment of a recording at which something happened. A recording knows its beginning to a second, so it is
 * up to a second early, never late.
 *
 * @param at a time, ISO 8601
 * @returns seconds in the recording; undefined where one of the times is not known
 */
export function momentOf(at: string, { beganAt }: Pick<PreparedCast, "beganAt">): number | undefined {
  const seconds = Date.parse(at) / 1_000 - (beganAt ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.max(0, seconds - 1) : undefined;
}

/** Not by `^` and the flag `m`, which also take U+2028 for a line's end: a program's output may have it. */
const LINE_TIME = /\n\[(\d+(?:\.\d+)?),/g;

/**
 * The recording's own time of a moment that the player shows, where it skips idle time.
 *
 * @param playerSeconds the player's time
 * @param idleLimit the longest pause that it plays, in seconds; undefined: all are played
 */
export function recordingTime(cast: string, playerSeconds: number, idleLimit: number | undefined): number {
  if (idleLimit === undefined) return playerSeconds;
  let previous = 0;
  let shift = 0;
  for (const [, seconds = "0"] of cast.matchAll(LINE_TIME)) {
    const at = Number(seconds);
    const skipped = Math.max(0, at - previous - idleLimit);
    // The pause after the previous line is where the moment is.
    if (at - shift - skipped > playerSeconds) break;
    shift += skipped;
    previous = at;
  }
  return playerSeconds + shift;
}

/** The other way round: where the player shows a moment of the recording. */
export function playerTime(cast: string, seconds: number, idleLimit: number | undefined): number {
  if (idleLimit === undefined) return seconds;
  let previous = 0;
  let shift = 0;
  for (const [, text = "0"] of cast.matchAll(LINE_TIME)) {
    const at = Number(text);
    if (at > seconds) return previous - shift + Math.min(seconds - previous, idleLimit);
    shift += Math.max(0, at - previous - idleLimit);
    previous = at;
  }
  return seconds - shift;
}
