/** How everything under `/-/` answers: JSON that no cache keeps, and one shape for every refusal. */
import * as z from "zod";
import { printableJson } from "../../common/text.ts";
import { failureStatus, STATUS_CODES, type StatusReason } from "../../kubernetes/status.ts";
import { DENIALS, type Denial, type DenialCode } from "../denials.ts";

/**
 * The `error.code` of each denial. Clients switch on it, so a value never changes its meaning. Most equal
 * the denial's own code. Several denials share `forbidden`; the message says which it was.
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
  no_terminal: "no_terminal",
  too_many_messages: "too_many_messages",
  method_not_served: "method_not_allowed",
  not_relayed: "forbidden",
  rule: "forbidden",
  approval_required: "forbidden",
  not_approver: "forbidden",
  user_locked: "forbidden",
  reason_required: "forbidden",
  access_not_found: "not_found",
  access_own_request: "forbidden",
  access_already_decided: "already_decided",
  access_ended: "forbidden",
  access_limit: "access_limit",
  session_limit: "session_limit",
  unread_output: "unread_output",
  too_many_refusals: "too_many_refusals",
  too_many_sessions: "too_many_sessions",
  too_many_changes: "too_many_changes",
  spdy_unsupported: "bad_request",
  protocol_unknown: "bad_request",
  session_ended: "forbidden",
  session_not_live: "not_found",
  too_many_watchers: "too_many_watchers",
  watch_unavailable: "watch_unavailable",
  audit_unavailable: "audit_unavailable",
  audit_database_unavailable: "audit_database_unavailable",
  recording_unavailable: "recording_unavailable",
  export_unavailable: "export_unavailable",
  object_unavailable: "object_unavailable",
  directory_unavailable: "directory_unavailable",
  draining: "draining",
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

const message = z.string().describe("What happened, then what to do.");

/**
 * The body of a refusal: `error` for programs, and a `metav1.Status`, whose message `kubectl --raw` prints.
 */
export const refusal = z
  .strictObject({
    kind: z.literal("Status").describe("As in every Kubernetes object."),
    apiVersion: z.literal("v1").describe("As in every Kubernetes object."),
    metadata: z.strictObject({}).describe("As in every Kubernetes object; empty."),
    status: z.literal("Failure").describe("Always `Failure`."),
    message,
    reason: z.string().describe("The `metav1.StatusReason`."),
    code: z.int().describe("The HTTP status."),
    error: z
      .strictObject({
        code: z.enum(Object.values(ERROR_CODES)).describe("Why. A value never changes its meaning."),
        message,
      })
      .describe("The same for programs."),
  })
  .meta({ id: "Refusal", description: "A refusal: an error object and a Kubernetes `Status` in one." });

/** Makes a successful answer. It has what clients chose, such as commands, and kubectl prints it as it is. */
export function json(body: unknown): Response {
  const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
  return new Response(printableJson(body), { headers });
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
 * What kubectl shows of it was measured with 1.32 and 1.36. The media type must be `application/json`
 * without parameters: with a charset kubectl prints `unknown`. There is no Retry-After: with `1` client-go
 * sends a 429 or 503 eleven times in ten seconds before kubectl prints anything.
 */
export function refusalResponse(
  reason: StatusReason,
  code: ErrorCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const status = failureStatus({ reason, message });
  return new Response(`${printableJson({ ...status, error: { code, message } })}\n`, {
    status: STATUS_CODES[reason],
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store", ...headers },
  });
}
