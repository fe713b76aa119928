import type * as z from "zod";
import { findRequests } from "../../../audit/request-queries.ts";
import type { RequestRow } from "../../../audit/rows.ts";
import { ok } from "../../../common/result.ts";
import { queryDatabase } from "../database.ts";
import type { apiRequest } from "../schemas/api-request.ts";
import type { Handler } from "./handler.ts";

export const listApiRequests: Handler<"listApiRequests"> = async ({ query }, { env }) => {
  const { limit, cursor, ...filter } = query;
  // One more than asked for tells whether there is a next page.
  const found = await queryDatabase(findRequests(env.AUDIT_DB, filter, limit + 1, cursor));
  if (!found.ok) return found;
  const items = found.value.slice(0, limit);
  const next = found.value.length > limit ? (items.at(-1)?.id ?? null) : null;
  return ok({ items: items.map(requestJson), next });
};

function timeJson(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function requestJson(row: RequestRow): z.output<typeof apiRequest> {
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
    podFacts: row.pod_facts === null ? null : { ...row.pod_facts },
  };
}
