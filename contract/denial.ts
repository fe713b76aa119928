import type { StatusReason } from "../kubernetes/status.ts";

/**
 * Everything that Sallyport itself refuses, by a stable code, and how each is classed for Kubernetes clients.
 * A code without a class does not compile. Codes are in the audit log (`requests.refusal`) and under `/-/` in
 * answers: never rename one.
 */
export const DENIALS = {
  // Who is asking
  no_token: "Unauthorized",
  bad_token: "Unauthorized",
  keys_unreachable: "ServiceUnavailable",
  identity_unreachable: "ServiceUnavailable",
  no_identity: "Forbidden",
  impersonation: "Forbidden",
  not_admin: "Forbidden",
  cross_site: "Forbidden",
  // What is asked
  bad_request: "BadRequest",
  unknown_host: "NotFound",
  not_found: "NotFound",
  method_not_served: "MethodNotAllowed",
  not_relayed: "Forbidden",
  rule: "Forbidden",
  // What a user's object refuses
  user_locked: "Forbidden",
  reason_required: "Forbidden",
  session_limit: "TooManyRequests",
  unread_output: "TooManyRequests",
  too_many_refusals: "TooManyRequests",
  spdy_unsupported: "BadRequest",
  session_ended: "Forbidden",
  // What does not work at the moment
  audit_unavailable: "ServiceUnavailable",
  audit_database_unavailable: "ServiceUnavailable",
  recording_unavailable: "ServiceUnavailable",
  export_unavailable: "ServiceUnavailable",
  object_unavailable: "ServiceUnavailable",
  contract_mismatch: "ServiceUnavailable",
  object_schema_newer: "ServiceUnavailable",
  cluster_unreachable: "ServiceUnavailable",
  cluster_timeout: "Timeout",
  cluster_protocol: "InternalError",
  internal: "InternalError",
} as const satisfies Record<string, StatusReason>;

export type DenialCode = keyof typeof DENIALS;

/** One refusal. Adapters make of it a `metav1.Status`, or an answer of the API under `/-/`. */
export interface Denial {
  readonly code: DenialCode;
  /** For the person: what happened, then what to do. Never a token, a header's value or a stack. */
  readonly message: string;
}

/** Makes a denial. */
export function denial(code: DenialCode, message: string): Denial {
  return { code, message };
}
