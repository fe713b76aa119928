import { expect } from "vitest";
import { CSV_CONTENT_TYPE } from "../../worker/api/csv.ts";
import { matchRoute } from "../../worker/api/match-route.ts";
import { denialsOf } from "../../worker/api/openapi.ts";
import { errorCodeOf, refusal } from "../../worker/api/responses.ts";
import type { Route } from "../../worker/api/route.ts";
import { ROUTES } from "../../worker/api/routes.ts";
import { isApiPath } from "../../worker/surfaces.ts";

/**
 * Expects an answer under `/-/` to be as its route describes it. The body is parsed strictly: a field that
 * the description lacks is a failure.
 *
 * @returns the answer, unread
 */
export async function expectDescribed({ method, url }: Request, response: Response): Promise<Response> {
  const { pathname } = new URL(url);
  if (!isApiPath(pathname)) return response;
  const name = matchRoute(method, pathname)?.name;
  const route: Route | undefined = name && ROUTES[name];
  if (response.status === 101) {
    expect(route?.answer).toMatchObject({ subprotocol: response.headers.get("sec-websocket-protocol") });
    return response;
  }
  if (!response.ok) {
    const { error } = refusal.parse(await response.clone().json());
    if (route) expect(denialsOf(route).map(errorCodeOf), `of ${name}`).toContain(error.code);
  } else if (route?.answer.kind === "json" && response.headers.get("content-type")?.startsWith(CSV_CONTENT_TYPE)) {
    expect(route.answer.csv, `of ${name}`).toBe(true);
  } else if (route?.answer.kind === "json" && method !== "HEAD") {
    route.answer.schema.parse(await response.clone().json());
  } else if (route?.answer.kind === "file") {
    const { contentType, alternative } = route.answer;
    expect([contentType, alternative]).toContain(response.headers.get("content-type"));
  }
  expect(response.headers.get("cache-control")).toBe("no-store");
  return response;
}
