/** What a check is, and how one is run. */
import type { ServiceToken } from "../deployment/access.ts";
import { errorMessage } from "../deployment/operator-error.ts";
import type { Http } from "../ports/http.ts";
import type { Kubectl } from "../ports/kubectl.ts";

export interface Finding {
  readonly status: "ok" | "warn" | "fail" | "skipped";
  /** What was found, or why it was not looked at. */
  readonly words: string;
  /** What to do. */
  readonly advice?: string;
}

export interface Check {
  /** `tunnel`, or `tunnel:prod` where there is one for each cluster or host name. */
  readonly id: string;
  run(): Promise<Finding>;
}

export interface Result extends Finding {
  readonly id: string;
}

/** What checks ask. */
export interface Dependencies {
  readonly http: Http;
  readonly kubectl: Kubectl;
  readonly now: () => number;
  readonly wait: (ms: number) => Promise<void>;
  /** A few random characters, to find a request again. */
  readonly nonce: () => string;
  readonly serviceToken: ServiceToken | undefined;
}

export const ok = (words: string): Finding => ({ status: "ok", words });
export const warn = (words: string, advice: string): Finding => ({ status: "warn", words, advice });
export const fail = (words: string, advice: string): Finding => ({ status: "fail", words, advice });
export const skipped = (words: string, advice?: string): Finding => ({
  status: "skipped",
  words,
  ...(advice !== undefined && { advice }),
});

/** A check could not be made as things are; thrown from within one. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
  readonly finding: Finding;

  constructor(finding: Finding) {
    super(finding.words);
    this.finding = finding;
  }
}

/** @param only ids to run, whole or up to their colon; all when empty */
export function select(checks: readonly Check[], only: readonly string[]): Check[] {
  return checks.filter(({ id }) => only.length === 0 || only.includes(id) || only.includes(id.replace(/:.*$/, "")));
}

/** Runs them one after the other: a doctor is in no hurry, and what it asks is somebody's production. */
export async function runChecks(
  checks: readonly Check[],
  tell: (result: Result) => void = () => {},
): Promise<Result[]> {
  const results: Result[] = [];
  for (const { id, run } of checks) {
    const result = { id, ...(await settle(run)) };
    tell(result);
    results.push(result);
  }
  return results;
}

async function settle(run: () => Promise<Finding>): Promise<Finding> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Unanswered) return error.finding;
    // No answer is not "well": somebody has to look.
    return fail(errorMessage(error), "mend that, and run the doctor again");
  }
}
