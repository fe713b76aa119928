import type * as z from "zod";
import { findRequests, type RequestFilter } from "../../../audit/request-queries.ts";
import { ok, type Result } from "../../../common/result.ts";
import type { Denial } from "../../denials.ts";
import type { Bindings } from "../../env.ts";
import { queryDatabase } from "../database.ts";
import { requestJson } from "../request-json.ts";
import type { apiRequestPage } from "../schemas/api-request.ts";
import type { Handler } from "./handler.ts";

type Page = z.output<typeof apiRequestPage>;

export const listApiRequests: Handler<"listApiRequests"> = async ({ query }, { env }) => {
  const { format: _, ...page } = query;
  return listPage(env, page);
};

export const listOwnRequests: Handler<"listOwnRequests"> = async ({ query }, { env, identity }) =>
  listPage(env, { ...query, user: identity.name });

async function listPage(
  { AUDIT_DB }: Bindings,
  { limit, cursor, ...filter }: RequestFilter & { readonly limit: number; readonly cursor?: string },
): Promise<Result<Page, Denial>> {
  // One more than asked for tells whether there is a next page.
  const found = await queryDatabase(findRequests(AUDIT_DB, filter, limit + 1, cursor));
  if (!found.ok) return found;
  const items = found.value.slice(0, limit);
  const next = found.value.length > limit ? (items.at(-1)?.id ?? null) : null;
  return ok({ items: items.map(requestJson), next });
}
