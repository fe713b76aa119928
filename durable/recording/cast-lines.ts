/**
 * The lines of a cast in asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/
 *
 * Markers are for tools and for a player's progress bar. Notices that every viewer must see (the recording
 * stops here) are written to the terminal too, because not every player shows markers.
 */
import type { Outcome } from "../../audit/events.ts";
import { commandLine } from "../../common/shell.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";

/** Which session a cast shows. */
export interface CastMetadata {
  readonly sessionId: string;
  readonly user: string;
  readonly cluster: string;
  readonly kind: SessionKind;
  readonly namespace: string;
  /** The pod, or the virtual machine. */
  readonly pod: string;
  readonly container: string | null;
  readonly command: readonly string[];
  /** Whether output is shown as it is: its far end has a terminal driver. */
  readonly tty: boolean;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The size of a terminal until the client tells it, and of sessions without a terminal. */
export const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };

/**
 * A larger terminal is recorded with this size, because a client may claim any. The smallest readable font on
 * a 4K display makes some 770 × 240. Tried with asciinema-player 3.18 in Chromium, every cell filled:
 *
 * | size | until it has played | memory of the page |
 * | --- | --- | --- |
 * | 800 × 250 | 0.6 s | 0.8 GB |
 * | 1000 × 1000 | 5.6 s | 3.2 GB |
 * | 9999 × 9999 | 73 s | 5.7 GB |
 * | 65535 × 24 | never: `RuntimeError: unreachable` | |
 */
export const LARGEST_SIZE: TerminalSize = { columns: 800, rows: 250 };

/** No text of the header is longer, so that its size is bounded. The audit log has all of each. */
const MAX_NAME_CHARS = 320;
const MAX_COMMAND_CHARS = 4_096;
/** The end of a session is told in no more than this. */
const MAX_LABEL_CHARS = 512;

/** The first line. @param startedAt when the first byte came, ms since the epoch */
export function headerLine(metadata: CastMetadata, { columns, rows }: TerminalSize, startedAt: number): string {
  const { sessionId, kind, command } = metadata;
  const [user, cluster, namespace, pod] = [metadata.user, metadata.cluster, metadata.namespace, metadata.pod].map(name);
  const container = metadata.container === null ? null : name(metadata.container);
  const where = `${cluster}/${namespace}/${pod}${container === null ? "" : `/${container}`}`;
  return line({
    version: 2,
    width: columns,
    height: rows,
    timestamp: Math.floor(startedAt / 1000),
    title: `${user}: ${kind} ${where}`,
    ...(command.length > 0 && { command: shortened(commandLine(command), MAX_COMMAND_CHARS) }),
    // The format allows strings only. Every tool keeps these fields.
    env: {
      SALLYPORT_SESSION: sessionId,
      SALLYPORT_USER: user,
      SALLYPORT_CLUSTER: cluster,
      SALLYPORT_NAMESPACE: namespace,
      SALLYPORT_POD: pod,
      ...(container !== null && { SALLYPORT_CONTAINER: container }),
      SALLYPORT_KIND: kind,
      SALLYPORT_TTY: String(metadata.tty),
    },
  });
}

/** The size as it is recorded. */
export function playableSize({ columns, rows }: TerminalSize): TerminalSize {
  return { columns: Math.min(columns, LARGEST_SIZE.columns), rows: Math.min(rows, LARGEST_SIZE.rows) };
}

export function resizeLine(seconds: number, { columns, rows }: TerminalSize): string {
  return line([seconds, "r", `${columns}x${rows}`]);
}

export function markerLine(seconds: number, label: string): string {
  return line([seconds, "m", shortened(label, MAX_LABEL_CHARS)]);
}

/** A mark about the next event. Players skip it, and no program can write one. */
export function markLine(seconds: number, mark: string): string {
  return line([seconds, "e", mark]);
}

/** A notice on the terminal, in reverse video. */
export function noticeLine(seconds: number, notice: string): string {
  return line([seconds, "o", `\r\n\u001b[0;7m[${shortened(notice, MAX_LABEL_CHARS)}]\u001b[0m\r\n`]);
}

/** The label of a cast's last marker: how the session ended. */
export function endLabel(outcome: Outcome, exitCode: number | null, reason: string | null): string {
  if (outcome === "exited") return `exit code ${exitCode}`;
  return reason === null ? `ended: ${outcome}` : `ended: ${outcome}: ${reason}`;
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function name(text: string): string {
  return shortened(text, MAX_NAME_CHARS);
}

/** Also without a lone surrogate: JSON.stringify would escape it, and strict JSON parsers refuse that. */
function shortened(text: string, maxChars: number): string {
  return (text.length <= maxChars ? text : `${text.slice(0, maxChars - 1)}…`).toWellFormed();
}
