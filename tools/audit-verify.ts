/** Verifies the audit log's hash chain, and says in prose what was found. Pure. */
import type { ChainedEvent } from "../audit/chain.ts";
import { ChainVerifier, type Verdict } from "../audit/verify.ts";

const MAX_SHOWN = 20;

/** @param events session by session, in order */
export function verifyEvents(events: Iterable<ChainedEvent>): Verdict {
  const verifier = new ChainVerifier();
  for (const event of events) verifier.add(event);
  return verifier.finish();
}

/** What a person reads. */
export function describeVerdict({ sessions, events, open, broken }: Verdict): string {
  const first = broken[0];
  const summary = `${sessions} sessions, ${events} events, ${open.length} without an end (live, or cut off)`;
  if (!first) return `The record is whole: ${summary}.`;
  const shown = broken
    .slice(0, MAX_SHOWN)
    .map(({ session_id, seq, fault }) => `  ${session_id} event ${seq}: ${fault}`);
  const more = broken.length > MAX_SHOWN ? [`  … and ${broken.length - MAX_SHOWN} more`] : [];
  return [
    `The record is BROKEN in ${broken.length} places (${summary}). First broken link first:`,
    ...shown,
    ...more,
  ].join("\n");
}
