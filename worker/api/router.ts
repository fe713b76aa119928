/**
 * Serves everything under `/-/`, which is never Kubernetes'.
 *
 *     match path ─► authorize ─► check method ─► parse path, query, body ─► handler ─► JSON or a file
 *
 * Each stage may end it with a denial, which has the same form everywhere.
 */
import { headerList } from "../../common/header-list.ts";
import { ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../denials.ts";
import type { Bindings } from "../env.ts";
import { renderFailure } from "../error-handler.ts";
import { isReadMethod } from "../methods.ts";
import { isAdminPath } from "../surfaces.ts";
import { authorize, checkAccessTo } from "./authorize.ts";
import { CSV_CONTENT_TYPE, csvPageOf, renderCsv } from "./csv.ts";
import { HANDLERS } from "./handlers/index.ts";
import { matchRoute, type RouteMatch } from "./match-route.ts";
import { parseCall } from "./parse-call.ts";
import type { ApiContext, ApiRequest } from "./request.ts";
import { denyApi, json } from "./responses.ts";
import type { Access, Call, JsonAnswer, Route } from "./route.ts";
import { ROUTES, type RouteName } from "./routes.ts";

export interface ApiResponse {
  readonly response: Response;
  /** Set if the caller was denied access, for the audit log. A 404, for example, is no such denial. */
  readonly accessDenial?: Denial;
}

/**
 * Serves the routes that need no token.
 *
 * @returns undefined where the path is none of theirs
 */
export async function servePublicApi(request: Request, url: URL, env: Bindings): Promise<Response | undefined> {
  const match = matchRoute(request.method, url.pathname);
  return match?.isPublic ? serveMatch(match, request, url, { env }) : undefined;
}

/** Serves a caller whose token is valid. */
export async function serveApi(api: ApiRequest): Promise<ApiResponse> {
  const { request, url } = api;
  const match = matchRoute(request.method, url.pathname);
  const access = accessOf(match, request.method, url.pathname);
  const authorized = authorize(access, api);
  if (!authorized.ok) return { response: denyApi(authorized.error), accessDenial: authorized.error };
  if (match) {
    const served = await api.carryOut(async () =>
      ok(await serveMatch(match, request, url, { ...api, checkAccess: checkAccessTo(access, api) })),
    );
    return { response: served.ok ? served.value : renderFailure(request, served.error) };
  }
  const message = `there is no ${url.pathname} here: GET /-/openapi.json lists what there is`;
  return { response: denyApi(denial("not_found", message)) };
}

/** If no route matches, the path's prefix decides: others do not learn which routes administrators have. */
function accessOf(match: RouteMatch | undefined, method: string, pathname: string): Access {
  if (match?.name !== undefined) return ROUTES[match.name].access;
  if (!isAdminPath(pathname)) return "user";
  return isReadMethod(method) ? "auditor" : "admin";
}

/** A handler of any route. That each fits its own route's calls is checked in handlers/index.ts. */
type AnyHandler = (call: Call<Route>, context: Partial<ApiContext>) => Promise<Result<unknown, Denial>>;

async function serveMatch(
  { name, methods, parts }: RouteMatch,
  request: Request,
  url: URL,
  context: Partial<ApiContext>,
): Promise<Response> {
  if (name === undefined) {
    const allowed = methods.join(", ");
    return denyApi(denial("method_not_served", `use ${allowed}`), { Allow: allowed });
  }
  const call = await parseCall<Route>(ROUTES[name], parts, url.searchParams, request);
  if (!call.ok) return denyApi(call.error);
  const handle = HANDLERS[name satisfies RouteName] as AnyHandler;
  const result = await handle(call.value, context);
  if (!result.ok) return denyApi(result.error);
  if (result.value instanceof Response) return result.value;
  const { answer }: Route = ROUTES[name];
  if (answer.kind === "json" && answer.csv && wantsCsv(call.value, request)) return csv(answer, result.value, url);
  return json(result.value);
}

/** `kubectl --raw` names JSON first, and browsers name neither. */
function wantsCsv({ query }: Call<Route>, { headers }: Request): boolean {
  const { format }: { format?: unknown } = query;
  if (format !== undefined) return format === "csv";
  return headerList(headers.get("Accept")).some((range) => range.startsWith(CSV_CONTENT_TYPE));
}

/** A page as a file. One that another page precedes has no line of names, so that pages can be put together. */
function csv({ schema }: JsonAnswer, value: unknown, { pathname, searchParams }: URL): Response {
  const page = csvPageOf(schema, value);
  const isFirst = !searchParams.has("cursor");
  const headers = new Headers({
    "Content-Type": `${CSV_CONTENT_TYPE}; charset=utf-8; header=${isFirst ? "present" : "absent"}`,
    "Content-Disposition": `attachment; filename="${pathname.slice(pathname.lastIndexOf("/") + 1)}.csv"`,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  if (page.next !== null) {
    const next = new URLSearchParams(searchParams);
    next.set("format", "csv");
    next.set("cursor", page.next);
    headers.set("Link", `<${pathname}?${next}>; rel="next"`);
  }
  return new Response(renderCsv(page, isFirst), { headers });
}
