/** The doctor's report. Pure. */
import type { CheckResult, Finding } from "./check.ts";

const SIGNS: Readonly<Record<Finding["status"], string>> = { ok: "✓", warn: "!", fail: "✗", skipped: "–" };
const ID_WIDTH = 34;

/** A line for each result, and below it what to do. */
export function describeResult({ id, status, message, advice }: CheckResult): string {
  const line = `${SIGNS[status]} ${id.padEnd(ID_WIDTH)} ${message}`;
  return advice === undefined || status === "ok" ? line : `${line}\n  ${" ".repeat(ID_WIDTH)} → ${advice}`;
}

/** The last line: how many results there are of each status. */
export function describeSummary(results: readonly CheckResult[]): string {
  const count = (status: Finding["status"]) => results.filter((result) => result.status === status).length;
  return `${count("ok")} ok, ${count("warn")} warnings, ${count("fail")} failed, ${count("skipped")} skipped`;
}

/** Whether a check failed. A warning is not a failure. */
export function hasFailures(results: readonly CheckResult[]): boolean {
  return results.some(({ status }) => status === "fail");
}
