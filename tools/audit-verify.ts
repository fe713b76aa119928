/** Verifies the hash chain of the audit log, and describes the result for a person. Pure. */
import type { ChainedEvent } from "../audit/chain.ts";
import { ChainVerifier, type Verdict } from "../audit/verify.ts";

/** The first ones tell where to look. A removed trigger can leave thousands. */
const MAX_SHOWN = 20;

/** @param events all events, ordered by session_id and seq */
export async function verifyEvents(events: Iterable<ChainedEvent> | AsyncIterable<ChainedEvent>): Promise<Verdict> {
  const verifier = new ChainVerifier();
  for await (const event of events) verifier.add(event);
  return verifier.finish();
}

/** Says whether the audit log is intact and, when it is not, where it was changed. */
export function describeVerdict({ sessions, events, open, broken }: Verdict): string {
  const totals = `${count(sessions, "session")}, ${count(events, "event")}, ${open.length} without an end (live or interrupted)`;
  if (broken.length === 0) return `The audit log is intact: ${totals}.`;
  const shown = broken
    .slice(0, MAX_SHOWN)
    .map(({ session_id, seq, problem }) => `  session ${session_id}, event ${seq}: ${problem}`);
  const more = broken.length > MAX_SHOWN ? [`  … and ${broken.length - MAX_SHOWN} more`] : [];
  return [`The audit log is NOT intact: ${count(broken.length, "broken link")} in ${totals}.`, ...shown, ...more].join(
    "\n",
  );
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
