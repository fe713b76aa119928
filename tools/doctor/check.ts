/** What a check is, and how checks are run. */

import { messageOf } from "../../common/errors.ts";
import type { Result } from "../../common/result.ts";
import type { ServiceToken } from "../deployment/access.ts";
import type { Http } from "../ports/http.ts";
import type { Kubectl } from "../ports/kubectl.ts";

export interface Finding {
  readonly status: "ok" | "warn" | "fail" | "skipped";
  /** What was found, or why nothing was checked. */
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** What was asked for, or the finding of a check that cannot go on without it. */
export type Answer<T> = Result<T, Finding>;

export interface Check {
  /** `tunnel`, or `tunnel:prod` where there is one for each cluster or host name. */
  readonly id: string;
  run(): Promise<Finding>;
}

export interface CheckResult extends Finding {
  readonly id: string;
}

/** What checks ask of the world. */
export interface Dependencies {
  readonly http: Http;
  readonly kubectl: Kubectl;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  /** A few random characters that tell this run's request apart from others. */
  readonly nonce: () => string;
  readonly serviceToken: ServiceToken | undefined;
}

export type { Query } from "../audit-source.ts";

export const passed = (message: string): Finding => ({ status: "ok", message });
export const warning = (message: string, advice: string): Finding => ({ status: "warn", message, advice });
export const failure = (message: string, advice: string): Finding => ({ status: "fail", message, advice });
export const skipped = (message: string, advice?: string): Finding => ({
  status: "skipped",
  message,
  ...(advice !== undefined && { advice }),
});

/** @param ids of checks to keep, whole or up to their colon; all when empty */
export function selectChecks(checks: readonly Check[], ids: readonly string[]): Check[] {
  return checks.filter(({ id }) => ids.length === 0 || ids.includes(id) || ids.includes(id.replace(/:.*$/, "")));
}

/**
 * Runs checks one after the other: what they ask is a production system, and nobody is in a hurry.
 *
 * @param report is told each result as it comes
 */
export async function runChecks(
  checks: readonly Check[],
  report: (result: CheckResult) => void = () => {},
): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) {
    const result = { id: check.id, ...(await runCheck(check)) };
    report(result);
    results.push(result);
  }
  return results;
}

async function runCheck({ run }: Check): Promise<Finding> {
  try {
    return await run();
  } catch (error) {
    // A service that does not answer has not been found well.
    return failure(messageOf(error), "fix that, then run the doctor again");
  }
}
