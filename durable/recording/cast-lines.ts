/**
 * The lines of a cast, asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/
 *
 * Markers are for tools and for a player's progress bar; what somebody who only watches must not miss (the recording
 * stops here) is written on the terminal too, since not every player shows markers.
 */
import type { Outcome } from "../../audit/events.ts";
import type { SessionKind } from "../../kubernetes/session-target.ts";

/** Whose session a cast shows, and of what. */
export interface CastFacts {
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

/** What a terminal is taken for until it says its size, and what a session without one is shown on. */
export const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };

/** A console's far end has a terminal driver of its own, so it is shown as it comes. */
export function isTerminal({ kind, tty }: Pick<CastFacts, "kind" | "tty">): boolean {
  return tty || kind === "console";
}

/** @param startedAt when the first byte came, ms since the epoch */
export function headerLine(facts: CastFacts, { columns, rows }: TerminalSize, startedAt: number): string {
  const { sessionId, user, cluster, kind, namespace, pod, container, command } = facts;
  const where = `${cluster}/${namespace}/${pod}${container === null ? "" : `/${container}`}`;
  return line({
    version: 2,
    width: columns,
    height: rows,
    timestamp: Math.floor(startedAt / 1000),
    title: wellFormed(`${user}: ${kind} ${where}`),
    ...(command.length > 0 && { command: wellFormed(command.map(quoted).join(" ")) }),
    // Text to text is all that the format allows here, and every tool carries it along.
    env: {
      SALLYPORT_SESSION: sessionId,
      SALLYPORT_USER: wellFormed(user),
      SALLYPORT_CLUSTER: cluster,
      SALLYPORT_NAMESPACE: namespace,
      SALLYPORT_POD: pod,
      ...(container !== null && { SALLYPORT_CONTAINER: container }),
      SALLYPORT_KIND: kind,
      SALLYPORT_TTY: String(isTerminal(facts)),
    },
  });
}

export function resizeLine(seconds: number, { columns, rows }: TerminalSize): string {
  return line([seconds, "r", `${columns}x${rows}`]);
}

export function markerLine(seconds: number, label: string): string {
  return line([seconds, "m", wellFormed(label)]);
}

/** Words of ours on the terminal, in reverse video. */
export function noticeLine(seconds: number, words: string): string {
  return line([seconds, "o", `\r\n\u001b[0;7m[${wellFormed(words)}]\u001b[0m\r\n`]);
}

/** How a session ended, as the label of a cast's last marker. */
export function endLabel(outcome: Outcome, exitCode: number | null, reason: string | null): string {
  if (outcome === "exited") return `exit code ${exitCode}`;
  return reason === null ? `ended: ${outcome}` : `ended: ${outcome}: ${reason}`;
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** A lone surrogate would be escaped as such, which strict readers of JSON refuse. */
function wellFormed(text: string): string {
  return text.toWellFormed();
}

/** As a shell would need it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
