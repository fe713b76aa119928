/** What the doctor says. Pure. */
import type { Finding, Result } from "./check.ts";

const SIGNS: Readonly<Record<Finding["status"], string>> = { ok: "✓", warn: "!", fail: "✗", skipped: "–" };

/** One line a check, what to do below it. */
export function describeResult({ id, status, words, advice }: Result): string {
  const line = `${SIGNS[status]} ${id.padEnd(ID_WIDTH)} ${words}`;
  return advice === undefined || status === "ok" ? line : `${line}\n  ${" ".repeat(ID_WIDTH)} → ${advice}`;
}

const ID_WIDTH = 34;

/** The last line. */
export function describeSummary(results: readonly Result[]): string {
  const count = (status: Finding["status"]) => results.filter((result) => result.status === status).length;
  const parts = [
    `${count("ok")} ok`,
    `${count("warn")} to look at`,
    `${count("fail")} to mend`,
    `${count("skipped")} not checked`,
  ];
  return parts.join(", ");
}

/** Whether a check failed. A warning is not a failure. */
export function hasFailures(results: readonly Result[]): boolean {
  return results.some(({ status }) => status === "fail");
}
