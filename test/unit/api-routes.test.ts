import { describe, expect, it } from "vitest";
import { matchRoute } from "../../worker/api/match-route.ts";
import { generalDenials, type Route } from "../../worker/api/route.ts";
import { ROUTES, type RouteName } from "../../worker/api/routes.ts";
import { isAdminPath } from "../../worker/surfaces.ts";

const routes = Object.entries<Route>(ROUTES) as [RouteName, Route][];

/** Auditors may end a session that must be watched while they watch it, which its object knows. */
const DECIDED_BY_ITS_OBJECT = "endSession";

/** A path of a route, with every named part filled. */
const exampleOf = ({ path }: Route) => path.replaceAll(/\{\w+\}/g, "x");

describe.each(routes)("the route %s", (name, route) => {
  it("is the one that its own path and method lead to", () => {
    expect(matchRoute(route.method, exampleOf(route))).toMatchObject({ name });
  });

  it("describes exactly the parameters that its path names", () => {
    const named = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    expect(Object.keys(route.params?.shape ?? {})).toEqual(named);
  });

  it("is below /-/admin/ exactly when it requires a role", () => {
    expect(isAdminPath(route.path)).toBe(route.access === "auditor" || route.access === "admin");
  });

  it("requires the role admin when it changes something there", () => {
    const isForAuditors = route.method === "GET" || name === DECIDED_BY_ITS_OBJECT;
    if (isAdminPath(route.path)) expect(route.access).toBe(isForAuditors ? "auditor" : "admin");
  });

  it("lists no denial twice", () => {
    const all = [...generalDenials(route), ...route.denials];
    expect(new Set(all).size).toBe(all.length);
  });

  it("has a summary of whole sentences", () => {
    expect(route.summary).toMatch(/^[A-Z].*\.$/);
  });

  it("has an example body that its own schema accepts", () => {
    if (route.body) expect(route.body.schema.safeParse(route.body.example).error).toBeUndefined();
  });
});

describe("matching", () => {
  it.each([
    "/-/",
    "/-/admin",
    "/-/admin/",
    "/-/admin/sessions/",
    "/-/admin/sessions/a/b",
    "/-/admin/locks/",
    "/-/admin/users//sessions",
    "/-/whoami/",
    "/-/openapi_json",
    "/x/-/whoami",
    "/-/constructor",
  ])("finds no route for %s", (pathname) => {
    expect(matchRoute("GET", pathname)).toBeUndefined();
  });

  it("keeps named parts as they are encoded", () => {
    expect(matchRoute("GET", "/-/admin/sessions/a%2Fb/recording")).toMatchObject({
      name: "getRecording",
      parts: { id: "a%2Fb" },
    });
  });

  it("tells a wrong method from a wrong path", () => {
    expect(matchRoute("PATCH", "/-/admin/locks/a@b.c")).toMatchObject({
      name: undefined,
      methods: ["GET", "PUT", "DELETE"],
      isPublic: false,
    });
    expect(matchRoute("constructor", "/-/healthz")).toMatchObject({
      name: undefined,
      methods: ["GET", "HEAD"],
      isPublic: true,
    });
  });
});
