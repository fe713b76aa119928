import type { AuditedRequest } from "../../audit/request-events.ts";

/** An API request as the edge describes it. */
export const AUDITED_REQUEST: AuditedRequest = {
  ...{ user: "alice@example.com", location_hint: null, arrived_at: 1_764_000_000_000 },
  ...{ kubernetes_user: "alice@example.com", cluster: "test", category: "mutation", decision: "allowed" },
  ...{ rule: null, refusal: null, reason: null, method: "PATCH", path: "/api/v1/namespaces/demo/configmaps/x" },
  ...{ verb: "patch", api_group: "", resource: "configmaps", subresource: null, namespace: "demo", name: "x" },
  ...{ status: null, client_address: "192.0.2.1", country: "DE", user_agent: "kubectl/v1.36", ray: "abc-FRA" },
};

/** @param at ms since the epoch */
export function requestIdAt(at: number, count: number): string {
  return `${new Date(at).toISOString()}-00112233445566${count.toString(36).padStart(6, "0")}`;
}
