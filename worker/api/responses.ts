/** How everything under `/-/` answers: JSON that no cache keeps, and one shape for every refusal. */
import { DENIALS, type Denial, type DenialCode } from "../../contract/denial.ts";
import { failureStatus, type Status, type StatusReason } from "../../kubernetes/status.ts";

/**
 * What a refusal's `error.code` says. Clients switch on it, so a value never changes its meaning. Most are the denial's own
 * code. Several denials share `forbidden`: the message says which it was.
 */
const ERROR_CODES = {
  no_token: "no_token",
  bad_token: "bad_token",
  keys_unreachable: "keys_unreachable",
  identity_unreachable: "identity_unreachable",
  no_identity: "forbidden",
  impersonation: "forbidden",
  not_admin: "forbidden",
  cross_site: "forbidden",
  bad_request: "bad_request",
  unknown_host: "not_found",
  not_found: "not_found",
  method_not_served: "method_not_allowed",
  not_relayed: "forbidden",
  rule: "forbidden",
  user_locked: "forbidden",
  reason_required: "forbidden",
  session_limit: "session_limit",
  unread_output: "unread_output",
  too_many_refusals: "too_many_refusals",
  spdy_unsupported: "bad_request",
  session_ended: "forbidden",
  audit_unavailable: "audit_unavailable",
  audit_database_unavailable: "audit_database_unavailable",
  recording_unavailable: "recording_unavailable",
  export_unavailable: "export_unavailable",
  object_unavailable: "object_unavailable",
  contract_mismatch: "contract_mismatch",
  object_schema_newer: "object_schema_newer",
  cluster_unreachable: "cluster_unreachable",
  cluster_timeout: "cluster_timeout",
  cluster_protocol: "internal",
  internal: "internal",
} as const satisfies Record<DenialCode, string>;

export type ErrorCode = (typeof ERROR_CODES)[DenialCode];

/** The `error.code` under which the API shows a denial. */
export function errorCodeOf(code: DenialCode): ErrorCode {
  return ERROR_CODES[code];
}

/** The body of a refusal: `error` for programs, and a `metav1.Status`, of which `kubectl --raw` prints the message. */
export interface RefusalBody extends Status {
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

/** Makes a successful answer. */
export function json(body: unknown): Response {
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}

/**
 * Renders a denial as the API under `/-/` answers it.
 *
 * @param headers more of the answer's headers, e.g. `Allow` with a 405
 */
export function denyApi(denial: Denial, headers: Readonly<Record<string, string>> = {}): Response {
  return refusalResponse(DENIALS[denial.code], ERROR_CODES[denial.code], denial.message, headers);
}

/**
 * The same from its parts.
 *
 * There is no Retry-After on purpose: with it client-go repeats a 429 or 503 up to ten times, and kubectl shows nothing
 * meanwhile. Without it the message is shown at once.
 */
export function refusalResponse(
  reason: StatusReason,
  code: ErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const status = failureStatus({ reason, message });
  const body: RefusalBody = { ...status, error: { code, message } };
  return Response.json(body, {
    status: status.code ?? 500,
    headers: { "Cache-Control": "no-store", ...headers },
  });
}
