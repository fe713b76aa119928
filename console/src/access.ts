/** Requests for access, and the grants that they become, as people look at them. Pure. */
import type { AccessChanged } from "./api/access-changes.ts";
import type { AccessDecision, AccessRequest, Whoami } from "./api/endpoints.ts";

type State = AccessRequest["state"];

/** How a reader takes a state. */
export const STATE_TONES = {
  pending: "warn",
  active: "good",
  denied: "bad",
  expired: "quiet",
  ended: "quiet",
  revoked: "bad",
} as const satisfies Record<State, string>;

/** Whether somebody may take a grant back before its time, or have a request end: as the API decides it. */
export function mayRevoke(
  { identity, roles, approves }: Pick<Whoami, "identity" | "roles" | "approves">,
  { user, grant }: Pick<AccessRequest, "user" | "grant">,
): boolean {
  return user === identity || roles.includes("admin") || approves.includes(grant);
}

/** Whether a request waits, or holds: what can still be ended. */
export function isOpen({ state }: Pick<AccessRequest, "state">): boolean {
  return state === "pending" || state === "active";
}

/** Whether what has changed may be this request. */
export function concerns(changed: AccessChanged, id: string): boolean {
  return (
    changed?.some((change) =>
      change.type === "over" ? change.ids.includes(id) : change.requests.some((request) => request.id === id),
    ) ?? true
  );
}

/** How far a request is, as `1 of 2 approvals`. */
export function progressOf({ approvals, needed }: Pick<AccessRequest, "approvals" | "needed">): string {
  return `${approvals.length} of ${needed} ${needed === 1 ? "approval" : "approvals"}`;
}

/** What somebody decided, in a word. */
export function decisionLabel({ decision, by, user, until, selfApproved }: AccessDecision): string {
  switch (decision) {
    case "approve":
      if (selfApproved) return "approved their own";
      return until === null ? "approved, more needed" : "approved";
    case "deny":
      return "denied";
    case "end":
      return by === user ? "withdrawn or given back" : "revoked";
  }
}

/** How a reader takes a decision. */
export function decisionTone({ decision, by, user, selfApproved }: AccessDecision): string {
  if (decision === "approve") return selfApproved ? "bad" : "good";
  return decision === "deny" || by !== user ? "bad" : "quiet";
}
