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
  /** For the player, which shows markers in its progress bar: stderr and changes of size have some. */
  readonly text: string;
  /** Markers of the recording, where stderr begins, and where the terminal's size changes, in order. */
  readonly moments: readonly Moment[];
  /** Whether there were more moments than are listed. */
  readonly hasMore: boolean;
  /** When it began, in whole seconds since the epoch; undefined where its header does not say so. */
  readonly beganAt: number | undefined;
}

/** The player makes an element of each marker. */
const MAX_MOMENTS = 200;
/** Errors that follow each other are one moment, and so is a window that is dragged. */
const SAME_MOMENT_SECONDS = 2;

const MARK = /^\[(\d+(?:\.\d+)?), ?"([emr])", ?("(?:[^"\\]|\\.)*")\]$/gm;

/** What lines become moments, by their code. */
const LABELS: Readonly<Record<string, (data: string) => string | undefined>> = {
  m: (label) => label,
  e: (mark) => (mark === "stderr" ? mark : undefined),
  r: (size) => (/^\d+x\d+$/.test(size) ? `size ${size.replace("x", " × ")}` : undefined),
};

/** Makes markers of the lines that say where stderr begins and where the size changes. @param cast an asciicast v2 */
export function prepareCast(cast: string): PreparedCast {
  const moments: Moment[] = [];
  let hasMore = false;
  const lastAt = new Map<string, number>();
  const text = cast.replace(MARK, (line, seconds: string, code: string, quoted: string) => {
    const at = Number(seconds);
    const data = parseJson(quoted);
    const label = typeof data === "string" ? LABELS[code]?.(data) : undefined;
    if (label === undefined) return line;
    const before = lastAt.get(code) ?? Number.NEGATIVE_INFINITY;
    lastAt.set(code, at);
    if (code !== "m" && at - before < SAME_MOMENT_SECONDS) return line;
    if (moments.length >= MAX_MOMENTS) {
      hasMore = true;
      return line;
    }
    moments.push({ at, label });
    if (code === "m") return line;
    const marker = `[${seconds}, "m", ${JSON.stringify(label)}]`;
    // The player must hear of a size all the same. A mark of stderr says nothing to it.
    return code === "r" ? `${line}\n${marker}` : marker;
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
