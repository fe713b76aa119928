import { failureStatus, type StatusReason, statusResponse } from "../kubernetes/status.ts";

/** Everything the edge itself says no to. */
export type RefusalCode =
  | "no_token"
  | "bad_token"
  | "keys_unreachable"
  | "no_identity"
  | "impersonation"
  | "cross_site"
  | "bad_request"
  | "not_relayed"
  | "method_not_served"
  | "not_admin"
  | "not_found"
  | "cluster_unreachable"
  | "internal";

/** @property message for the person: what happened and what to do. Never a token, a header's value or a stack. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
}

const REASONS: Readonly<Record<RefusalCode, StatusReason>> = {
  no_token: "Unauthorized",
  bad_token: "Unauthorized",
  keys_unreachable: "ServiceUnavailable",
  no_identity: "Forbidden",
  impersonation: "Forbidden",
  cross_site: "Forbidden",
  bad_request: "BadRequest",
  not_relayed: "Forbidden",
  method_not_served: "MethodNotAllowed",
  not_admin: "Forbidden",
  not_found: "NotFound",
  cluster_unreachable: "ServiceUnavailable",
  internal: "InternalError",
};

/** A refusal as Kubernetes clients read it: kubectl prints the message. */
export function refuse(refusal: Refusal): Response {
  return statusResponse(failureStatus({ reason: REASONS[refusal.code], message: refusal.message }));
}
