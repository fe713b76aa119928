/** A live session as the directory knows it: bounded, whatever its user typed. Pure. */
import type { Counts } from "../../audit/events.ts";
import type { LiveCounts } from "../../contract/directory.ts";
import type { LiveSessionRow } from "../../contract/session-row.ts";

const MAX_COMMAND_CHARS = 1_024;
const MAX_GROUPS_CHARS = 1_024;

/** What a report says of a `LiveSession`. */
export interface ReportedSession {
  readonly id: string;
  readonly row: LiveSessionRow;
  readonly activeAt: number;
  readonly counts: Counts;
  readonly waitsFor: LiveSessionRow["waits_for"];
}

/** The session without what can be long: its object has it. */
export function directoryRow({ row }: Pick<ReportedSession, "row">): LiveSessionRow {
  return {
    ...row,
    command: cutList(row.command, MAX_COMMAND_CHARS),
    kubernetes_groups: cutList(row.kubernetes_groups, MAX_GROUPS_CHARS),
    forwards: null,
  };
}

/** What changes while it is open. */
export function liveCounts({
  activeAt,
  counts,
  waitsFor,
}: Pick<ReportedSession, "activeAt" | "counts" | "waitsFor">): LiveCounts {
  return { active_at: activeAt, ...counts, waits_for: waitsFor };
}

/** What a text costs beside its characters: quotes and a comma. */
const SEPARATOR_CHARS = 3;

/**
 * Keeps the first texts that fit. A last one says that it was cut, so that nobody takes the list for whole.
 */
export function cutList(texts: readonly string[], maxChars: number): readonly string[] {
  const kept: string[] = [];
  let left = maxChars;
  for (const text of texts) {
    left -= SEPARATOR_CHARS;
    if (text.length > left) {
      const part = text.slice(0, Math.max(left, 0)).toWellFormed();
      return [...kept, `${part}… (cut: ${texts.length} in all)`];
    }
    kept.push(text);
    left -= text.length;
  }
  return texts;
}
