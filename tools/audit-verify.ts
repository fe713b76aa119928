/** Verifies the hash chain of the audit log, and describes the result for a person. Pure. */
import type { ChainedEvent } from "../audit/chain.ts";
import { ChainVerifier, type Verdict } from "../audit/verify.ts";
import type { SeamReport } from "./seals/assemble.ts";

/** The first ones tell where to look. A removed trigger can leave thousands. */
const MAX_SHOWN = 20;
/** So many changes without a response are named. */
const MAX_OPEN_SHOWN = 10;

/** @param events all events, ordered by session_id and seq */
export async function verifyEvents(events: Iterable<ChainedEvent> | AsyncIterable<ChainedEvent>): Promise<Verdict> {
  const verifier = new ChainVerifier();
  for await (const event of events) verifier.add(event);
  return verifier.finish();
}

/** Says whether the audit log is intact and, when it is not, where it was changed. */
export function describeVerdict({ sessions, requests, events, open, openRequests, broken }: Verdict): string {
  const totals =
    `${count(sessions, "session")}, ${count(requests, "request")}, ${count(events, "event")}, ` +
    `${open.length} without an end (live or interrupted)`;
  const verdict =
    broken.length === 0
      ? `The audit log is intact: ${totals}.`
      : `The audit log is NOT intact: ${count(broken.length, "broken link")} in ${totals}.`;
  const links = broken.map(({ session_id, seq, problem }) => `${session_id}, event ${seq}: ${problem}`);
  return [verdict, ...firstOf(links, MAX_SHOWN), ...describeOpenRequests(openRequests)].join("\n");
}

/** Like an open session, a change without a response is no broken link: it may still be carried out. */
function describeOpenRequests(ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  const heading = `Of ${count(ids.length, "change")} no answer is known (being carried out, or its isolate was lost):`;
  return [heading, ...firstOf(ids, MAX_OPEN_SHOWN)];
}

function firstOf(lines: readonly string[], most: number): string[] {
  const more = lines.length > most ? [`… and ${lines.length - most} more`] : [];
  return [...lines.slice(0, most), ...more].map((line) => `  ${line}`);
}

/** Says what was read of the seals, and what does not agree. */
export function describeSeam(report: SeamReport, place: string): string {
  const { seals, parts, sealedRows, leftRows, rowsInD1, problems } = report;
  const months = [...new Set([seals[0]?.month, seals.at(-1)?.month])].join(" to ");
  const read =
    `${count(seals.length, "seal")} of ${months}, ${count(parts, "object")} with ${count(sealedRows, "row")} read from ${place}; ` +
    `${count(leftRows, "row")} of them in the seals alone. ${count(rowsInD1, "row")} in D1`;
  if (problems.length === 0) return `The seals are intact: ${read}.`;
  const verdict = `The seals are NOT intact: ${count(problems.length, "problem")} in ${read}.`;
  return [verdict, ...firstOf(problems, MAX_SHOWN)].join("\n");
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
