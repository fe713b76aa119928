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
  | "rule"
  | "identity_unreachable"
  | "unknown_host"
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
  rule: "Forbidden",
  identity_unreachable: "ServiceUnavailable",
  unknown_host: "NotFound",
  method_not_served: "MethodNotAllowed",
  not_admin: "Forbidden",
  not_found: "NotFound",
  cluster_unreachable: "ServiceUnavailable",
  internal: "InternalError",
};

/**
 * A refusal as Kubernetes clients read it: a `metav1.Status`, whose message kubectl prints.
 *
 * API discovery is the exception: client-go reads it raw and shows a refusal's words only from plain text, and `unknown`
 * in place of a Status (`newUnstructuredResponseError` in rest/request.go). It is the first thing kubectl asks, so it
 * is where a person meets most refusals.
 *
 * @param client the request's headers
 */
export function refuse({ code, message }: Refusal, client: Headers): Response {
  const status = failureStatus({ reason: REASONS[code], message });
  if (!client.get("Accept")?.includes(DISCOVERY_MEDIA_TYPE)) return statusResponse(status);
  return new Response(message, { status: status.code ?? 500, headers: { "Cache-Control": "no-cache, private" } });
}

/** What asks for aggregated discovery, and nothing else (KEP-3352). */
const DISCOVERY_MEDIA_TYPE = "g=apidiscovery.k8s.io";
