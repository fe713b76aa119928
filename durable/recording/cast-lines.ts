/**
 * The lines of a cast in asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/
 *
 * Markers are for tools and for a player's progress bar. Notices that every viewer must see (the recording
 * stops here) are written to the terminal too, because not every player shows markers.
 */
import type { Outcome } from "../../audit/events.ts";
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
  readonly tty: boolean;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The size of a terminal until the client tells it, and of sessions without a terminal. */
export const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };

/** Whether output is shown as it is. The far end of a console has its own terminal driver. */
export function isTerminal({ kind, tty }: Pick<CastMetadata, "kind" | "tty">): boolean {
  return tty || kind === "console";
}

/** The first line. @param startedAt when the first byte came, ms since the epoch */
export function headerLine(metadata: CastMetadata, { columns, rows }: TerminalSize, startedAt: number): string {
  const { sessionId, user, cluster, kind, namespace, pod, container, command } = metadata;
  const where = `${cluster}/${namespace}/${pod}${container === null ? "" : `/${container}`}`;
  return line({
    version: 2,
    width: columns,
    height: rows,
    timestamp: Math.floor(startedAt / 1000),
    title: wellFormed(`${user}: ${kind} ${where}`),
    ...(command.length > 0 && { command: wellFormed(command.map(quoted).join(" ")) }),
    // The format allows strings only. Every tool keeps these fields.
    env: {
      SALLYPORT_SESSION: sessionId,
      SALLYPORT_USER: wellFormed(user),
      SALLYPORT_CLUSTER: cluster,
      SALLYPORT_NAMESPACE: namespace,
      SALLYPORT_POD: pod,
      ...(container !== null && { SALLYPORT_CONTAINER: container }),
      SALLYPORT_KIND: kind,
      SALLYPORT_TTY: String(isTerminal(metadata)),
    },
  });
}

export function resizeLine(seconds: number, { columns, rows }: TerminalSize): string {
  return line([seconds, "r", `${columns}x${rows}`]);
}

export function markerLine(seconds: number, label: string): string {
  return line([seconds, "m", wellFormed(label)]);
}

/** A notice on the terminal, in reverse video. */
export function noticeLine(seconds: number, notice: string): string {
  return line([seconds, "o", `\r\n\u001b[0;7m[${wellFormed(notice)}]\u001b[0m\r\n`]);
}

/** The label of a cast's last marker: how the session ended. */
export function endLabel(outcome: Outcome, exitCode: number | null, reason: string | null): string {
  if (outcome === "exited") return `exit code ${exitCode}`;
  return reason === null ? `ended: ${outcome}` : `ended: ${outcome}: ${reason}`;
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** JSON.stringify escapes a lone surrogate, which strict JSON parsers refuse. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}

/** Quotes a word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
