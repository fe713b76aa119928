import type { AccessRequest } from "../../contract/access.ts";
import type { SessionApproval } from "../../contract/session-plan.ts";
import { GIVEN_UP, judgeWait, REPEAT_LINE_MS, type WaitVerdict, waitingLines } from "./approval.ts";
import type { SessionWait } from "./session-wait.ts";

export interface ApprovalWaitParts {
  readonly approval: SessionApproval;
  /** When the session began to wait, ms since the epoch. */
  readonly startedAt: number;
  /** Shows the person a line. */
  readonly say: (line: string) => void;
  /** The request as this object knows it. */
  readonly request: () => AccessRequest | undefined;
  /** Called once. */
  readonly onApproved: (verdict: Extract<WaitVerdict, { kind: "approved" }>) => void;
  /** Called once, instead. */
  readonly onRefused: (message: string) => void;
}

/** A session's wait for its approval: says what it waits for, and notices the decision. */
export class ApprovalWait implements SessionWait {
  readonly waitsFor = "approval";
  readonly givenUp = GIVEN_UP;
  readonly #parts: ApprovalWaitParts;
  #saidAt = Number.NEGATIVE_INFINITY;
  #isDecided = false;

  constructor(parts: ApprovalWaitParts) {
    this.#parts = parts;
  }

  /** The request that it waits for. */
  get accessId(): string {
    return this.#parts.approval.accessId;
  }

  /** Whether its person has read that it waits. Where the grant holds already, they need not know. */
  get hasSpoken(): boolean {
    return this.#saidAt !== Number.NEGATIVE_INFINITY;
  }

  /** To be called when the request has changed, and every second or so. @param now ms since the epoch */
  check(now: number): void {
    if (this.#isDecided) return;
    const { approval, startedAt, say, request, onApproved, onRefused } = this.#parts;
    const verdict = judgeWait(approval, request(), startedAt, now);
    if (verdict.kind === "wait") {
      if (now - this.#saidAt < REPEAT_LINE_MS) return;
      this.#saidAt = now;
      for (const line of waitingLines(approval, now)) say(line);
      return;
    }
    this.#isDecided = true;
    if (verdict.kind === "approved") onApproved(verdict);
    else onRefused(verdict.message);
  }
}
