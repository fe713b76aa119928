/**
 * What the page reads of a recording beside the player: its markers, and its times. Pure.
 *
 * The format: docs/REFERENCE.md, "Recordings". A line that no writer of ours wrote is passed on as it is.
 */

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
    const label = readLabel(quoted);
    if (label === undefined || (code === "e" && label !== "stderr")) return line;
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
  return { text, moments, hasMore };
}

function readLabel(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
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
