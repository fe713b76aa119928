import * as contract from "../contract/denial.ts";
import type { StatusReason } from "../kubernetes/status.ts";

/**
 * Everything that Sallyport refuses, by a stable code, and how each is classed for Kubernetes clients: the
 * edge's own refusals, and those of users' objects. A code without a class does not compile.
 *
 * Codes are in the audit log (`requests.refusal`) and under `/-/` in answers: never rename one.
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
  no_terminal: "Conflict",
  too_many_messages: "TooManyRequests",
  method_not_served: "MethodNotAllowed",
  not_relayed: "Forbidden",
  rule: "Forbidden",
  approval_required: "Forbidden",
  not_approver: "Forbidden",
  // What does not work at the moment
  audit_database_unavailable: "ServiceUnavailable",
  export_unavailable: "ServiceUnavailable",
  object_unavailable: "ServiceUnavailable",
  directory_unavailable: "ServiceUnavailable",
  draining: "ServiceUnavailable",
  internal: "InternalError",
  // What a user's object refuses, or the cluster behind it
  ...contract.DENIALS,
} as const satisfies Record<string, StatusReason>;

export type DenialCode = keyof typeof DENIALS;
export type Denial = contract.Denial<DenialCode>;

/** Makes a denial. */
export function denial(code: DenialCode, message: string): Denial {
  return contract.denial(code, message);
}
