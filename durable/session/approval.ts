/** What a session does that waits for an approval. Pure: the time is an argument. */
import { type AccessRequest, accessStateOf } from "../../contract/access.ts";
import type { SessionApproval } from "../../contract/session-plan.ts";
import type { CloseCause } from "./close-cause.ts";
import { formatDuration } from "./limits.ts";

/** How often the person reads again what their session waits for, ms. */
export const REPEAT_LINE_MS = 30_000;
/** The most sessions of one person that wait at once. Each holds a socket, and input up to its limit. */
export const MAX_WAITING_SESSIONS = 50;

/** Its person left, or pressed Ctrl-C. */
export const GIVEN_UP: Extract<CloseCause, { kind: "unapproved" }> = {
  kind: "unapproved",
  message: "given up while it waited for an approval",
};

/** What a session that waits does next. */
export type WaitVerdict =
  | { readonly kind: "wait" }
  | { readonly kind: "approved"; readonly by: readonly string[]; readonly until: number }
  | { readonly kind: "refused"; readonly message: string };

/**
 * @param request the request that it waits for, as this object knows it; undefined where it has no copy yet
 * @param now ms since the epoch
 */
export function judgeWait(
  approval: SessionApproval,
  request: AccessRequest | undefined,
  startedAt: number,
  now: number,
): WaitVerdict {
  const refused = (message: string): WaitVerdict => ({ kind: "refused", message });
  const { grant, waitUntil } = approval;
  const { approvals, active, ended } = request ?? { approvals: [], active: null, ended: null };
  switch (request && accessStateOf(request, now)) {
    case "active":
      return { kind: "approved", by: approvals.map(({ by }) => by), until: active?.until ?? now };
    case "denied":
      return refused(`${ended?.by ?? "somebody"} denied the access ${grant}${because(ended?.reason ?? null)}`);
    case "revoked":
      return refused(
        `${ended?.by ?? "somebody"} withdrew the request for ${grant}${because(ended?.reason ?? null)}; ` +
          "run the command again to ask anew",
      );
    case "ended":
    case "expired":
      return refused(`the request for ${grant} has expired: run the command again to ask anew`);
    case "pending":
    case undefined: {
      if (now < waitUntil) return { kind: "wait" };
      const waited = formatDuration(Math.round((waitUntil - startedAt) / 1_000));
      const message = `nobody approved ${grant} within ${waited}; the request stands: try again once it is approved`;
      return refused(message);
    }
  }
}

/** What the person reads while they wait, a line each: none breaks within the address. */
export function waitingLines({ grant, howToApprove, waitUntil }: SessionApproval, now: number): readonly string[] {
  const left = formatDuration(Math.max(0, Math.ceil((waitUntil - now) / 1_000)));
  return [
    `sallyport: this needs an approval of ${grant}, and waits for up to ${left}. Ctrl-C gives up.`,
    `sallyport: ${howToApprove}`,
  ];
}

/** What they read when the session begins. */
export function approvedLine({ grant }: SessionApproval, by: readonly string[]): string {
  return `sallyport: approved${by.length > 0 ? ` by ${by.join(", ")}` : ""} (${grant}).`;
}

function because(reason: string | null): string {
  return reason ? `: ${reason}` : "";
}
