import { stripControlCharacters } from "../common/text.ts";
import type { StatusReason } from "../kubernetes/status.ts";

/**
 * What a user's object refuses, by a stable code, and how each is classed for Kubernetes clients. The edge's
 * own refusals are in worker/denials.ts, so that a new one there does not redeploy the objects.
 *
 * Never rename a code: the API under `/-/` shows it.
 */
export const DENIALS = {
  user_locked: "Forbidden",
  reason_required: "Forbidden",
  access_not_found: "NotFound",
  access_own_request: "Forbidden",
  access_already_decided: "Conflict",
  access_ended: "Forbidden",
  access_limit: "TooManyRequests",
  session_limit: "TooManyRequests",
  unread_output: "TooManyRequests",
  too_many_refusals: "TooManyRequests",
  too_many_sessions: "TooManyRequests",
  spdy_unsupported: "BadRequest",
  protocol_unknown: "BadRequest",
  session_ended: "Forbidden",
  session_not_live: "NotFound",
  too_many_watchers: "TooManyRequests",
  watch_unavailable: "ServiceUnavailable",
  too_many_changes: "TooManyRequests",
  audit_unavailable: "ServiceUnavailable",
  recording_unavailable: "ServiceUnavailable",
  contract_mismatch: "ServiceUnavailable",
  object_schema_newer: "ServiceUnavailable",
  cluster_unreachable: "ServiceUnavailable",
  cluster_timeout: "Timeout",
  cluster_protocol: "InternalError",
} as const satisfies Record<string, StatusReason>;

export type DenialCode = keyof typeof DENIALS;

/** One refusal. Adapters make of it a `metav1.Status`, or an answer of the API under `/-/`. */
export interface Denial<Code extends string = DenialCode> {
  readonly code: Code;
  /** For the person: what happened, then what to do. Never a token, a header's value or a stack. */
  readonly message: string;
  /** When the same may succeed. Clients of Kubernetes then try again by themselves. */
  readonly retryAfterSeconds?: number;
}

/**
 * Makes a denial. Its message may quote what a client or a cluster chose, and people read it in terminals.
 */
export function denial<Code extends string = DenialCode>(code: Code, message: string): Denial<Code> {
  return { code, message: stripControlCharacters(message) };
}
