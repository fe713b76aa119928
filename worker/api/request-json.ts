import type * as z from "zod";
import type { RequestRow } from "../../audit/rows.ts";
import type { apiRequest } from "./schemas/api-request.ts";

function timeJson(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

/** A row of the view `requests` as the API shows it. */
export function requestJson(row: RequestRow): z.output<typeof apiRequest> {
  return {
    id: row.id,
    at: new Date(row.at).toISOString(),
    user: row.user,
    kubernetesUser: row.kubernetes_user,
    cluster: row.cluster,
    category: row.category,
    decision: row.decision,
    rule: row.rule,
    refusal: row.refusal,
    reason: row.reason,
    method: row.method,
    path: row.path,
    verb: row.verb,
    apiGroup: row.api_group,
    resource: row.resource,
    subresource: row.subresource,
    namespace: row.namespace,
    name: row.name,
    status: row.status,
    count: row.count,
    clientAddress: row.client_address,
    country: row.country,
    userAgent: row.user_agent,
    ray: row.ray,
    signIn: row.sign_in,
    deviceId: row.device_id,
    firstAt: timeJson(row.first_at),
    lastAt: timeJson(row.last_at),
    grants: row.grants,
    podFacts: row.pod_facts === null ? null : { ...row.pod_facts },
  };
}
