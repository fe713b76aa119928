import type { Counts, Outcome, RecordingSummary, SessionEventBody, Traffic } from "../audit/events.ts";
import { exitCodeOf, type Status } from "../kubernetes/status.ts";

/** Which side closed the session, and how. 1006 means that the connection broke without a close frame. */
export interface HangUp {
  readonly side: "client" | "upstream";
  readonly code: number;
}

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
  return { outcome, exitCode: null, reason: reason?.slice(0, MAX_REASON_CHARS) ?? null, endedBy: null };
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
 * Reads the outcome from what the cluster said on channel 3 and from who closed first.
 *
 * The status wins: after kubectl has seen it, it closes the connection in several ways, 1006 included. A
 * command that has ended has ended, whoever closes first.
 */
export function outcomeOfHangUp(status: Status | undefined, hangUp: HangUp): SessionOutcome {
  if (status) return outcomeFromStatus(status);
  if (hangUp.side === "client") return outcomeOf("disconnected", null);
  if (hangUp.code === 1000 || hangUp.code === 1005) return outcomeOf("closed", null);
  return outcomeOf("upstream_lost", `the connection to the cluster was lost (WebSocket close ${hangUp.code})`);
}

function outcomeFromStatus(status: Status): SessionOutcome {
  const exitCode = exitCodeOf(status);
  if (exitCode !== undefined) return { ...outcomeOf("exited", null), exitCode };
  return outcomeOf("failed", status.message ?? status.reason ?? "the cluster reported a failure without a message");
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
