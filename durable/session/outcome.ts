import type { Counts, Outcome, RecordingSummary, SessionEventBody, Traffic } from "../../audit/events.ts";
import { stripControlCharacters } from "../../common/text.ts";
import { exitCodeOf, type Status } from "../../kubernetes/status.ts";

/** How a session ended, for the audit log. */
export interface SessionOutcome {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly reason: string | null;
  readonly endedBy: string | null;
}

const MAX_REASON_CHARS = 1_024;

/** An outcome that comes neither from the command nor from an administrator. */
export function outcomeOf(outcome: Outcome, reason: string | null): SessionOutcome {
  // It quotes what a user, an image or a cluster chose, and whoever reads the audit log has a terminal.
  const said = reason === null ? null : stripControlCharacters(reason, MAX_REASON_CHARS);
  return { outcome, exitCode: null, reason: said, endedBy: null };
}

/**
 * An administrator ended it.
 *
 * @param reason what the user was shown
 * @param status what the cluster had said by then: a kill that came after the command's end did not stop it
 */
export function outcomeOfTermination(by: string, reason: string, status?: Status): SessionOutcome {
  return { ...outcomeOf("terminated", reason), exitCode: (status && exitCodeOf(status)) ?? null, endedBy: by };
}

/**
 * Sallyport ended it, for example at a limit. A command that had ended by then keeps its own outcome.
 *
 * @param message what the user was shown
 */
export function outcomeOfLimit(outcome: Outcome, message: string, status?: Status): SessionOutcome {
  if (!status) return outcomeOf(outcome, message);
  const own = outcomeFromStatus(status);
  return { ...own, reason: own.reason ?? message };
}

/**
 * How the command ended, as the cluster said on its error channel. It wins over whoever closed, and how:
 * after kubectl has seen it, it closes the connection in several ways, 1006 included.
 */
export function outcomeFromStatus(status: Status): SessionOutcome {
  const exitCode = exitCodeOf(status);
  if (exitCode !== undefined) return { ...outcomeOf("exited", null), exitCode };
  const said = [status.message, status.reason].map((text) => stripControlCharacters(text ?? ""));
  return outcomeOf("failed", said.find((text) => text !== "") ?? "the cluster reported a failure without a message");
}

/** The last event of a session. */
export function endEvent(
  { outcome, exitCode, reason, endedBy }: SessionOutcome,
  counts: Counts,
  traffic: Traffic = {},
  recording?: RecordingSummary,
): SessionEventBody {
  const facts = { outcome, exit_code: exitCode, reason, ended_by: endedBy };
  return { type: "end", data: { ...facts, ...counts, ...traffic, ...(recording && { recording }) } };
}
