import type { Counts, Outcome, RecordingSummary, SessionEventBody, Traffic } from "../audit/events.ts";
import { exitCodeOf, type Status } from "../kubernetes/status.ts";

/** Which side hung up, and how. 1006 means that the connection broke without a close frame. */
export interface HangUp {
  readonly side: "client" | "upstream";
  readonly code: number;
}

/** How a session ended, for the record. */
export interface SessionOutcome {
  readonly outcome: Outcome;
  readonly exitCode: number | null;
  readonly reason: string | null;
  readonly endedBy: string | null;
}

const MAX_REASON_CHARS = 1_024;

/** An ending that is neither the command's nor an administrator's. */
export function outcomeOf(outcome: Outcome, reason: string | null): SessionOutcome {
  return { outcome, exitCode: null, reason: reason?.slice(0, MAX_REASON_CHARS) ?? null, endedBy: null };
}

/**
 * An administrator ended it. `words` are what the user was shown.
 *
 * @param status what the cluster had said by then: a kill that came after the command's end did not stop it
 */
export function outcomeOfTermination(by: string, words: string, status?: Status): SessionOutcome {
  return { ...outcomeOf("terminated", words), exitCode: (status && exitCodeOf(status)) ?? null, endedBy: by };
}

/** Sallyport ended it, at a limit for one. A command that was over by then stays over; see `readEnding`. */
export function outcomeOfLimit(outcome: Outcome, words: string, status?: Status): SessionOutcome {
  if (!status) return outcomeOf(outcome, words);
  const told = outcomeFromStatus(status);
  return { ...told, reason: told.reason ?? words };
}

/**
 * Reads the ending from what the cluster said on channel 3 and from who hung up.
 *
 * The status wins: kubectl tears the connection down in several ways (1006 included) after it has seen it, and a
 * command that is over is over whoever closes first.
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
  return outcomeOf("failed", status.message ?? status.reason ?? "the cluster reported a failure without words");
}

/** The last event of a session's record. */
export function endEvent(
  { outcome, exitCode, reason, endedBy }: SessionOutcome,
  counts: Counts,
  traffic: Traffic = {},
  recording?: RecordingSummary,
): SessionEventBody {
  const facts = { outcome, exit_code: exitCode, reason, ended_by: endedBy };
  return { type: "end", data: { ...facts, ...counts, ...traffic, ...(recording && { recording }) } };
}
