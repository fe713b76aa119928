import { findRequests } from "../../../audit/request-queries.ts";
import type { RequestRow } from "../../../audit/rows.ts";
import { json, jsonError } from "../../json.ts";
import { queryDatabase } from "./database.ts";
import { readRequestsQuery } from "./parameters.ts";
import type { AdminRequest } from "./request.ts";

/** `GET requests`: the plain requests on record, newest first, in pages. */
export async function listRequests({ url, env }: AdminRequest): Promise<Response> {
  const query = readRequestsQuery(url.searchParams);
  if (typeof query === "string") return jsonError("bad_request", query);
  const { filter, limit, before } = query;
  // One more than asked for tells whether there is a next page.
  const found = await queryDatabase(findRequests(env.AUDIT_DB, filter, limit + 1, before));
  if (!found) return jsonError("audit_database_unavailable", "D1, which has the record, does not answer: try again");
  const items = found.answer.slice(0, limit);
  const next = found.answer.length > limit ? (items.at(-1)?.id ?? null) : null;
  return json({ items: items.map(requestJson), next });
}

function requestJson(row: RequestRow) {
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
  };
}
