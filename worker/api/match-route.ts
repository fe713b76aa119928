/** Finds the route of a request. Pure. */
import type { Route } from "./route.ts";
import { ROUTES, type RouteName } from "./routes.ts";

export interface RouteMatch {
  /** Undefined: no route of this path has the request's method. */
  readonly name: RouteName | undefined;
  /** The methods that the path has, for `Allow`. */
  readonly methods: readonly string[];
  /** No route of this path needs a token. */
  readonly isPublic: boolean;
  /** The parts of the path that the template names, still percent-encoded. */
  readonly parts: Readonly<Record<string, string>>;
}

/** All routes of one path, by method. */
type RoutesOfPath = ReadonlyMap<string, RouteName>;

const PATHS: readonly { readonly pattern: RegExp; readonly routes: RoutesOfPath }[] = compilePaths();

/**
 * @param pathname as `URL` gives it
 * @returns undefined where no route has this path
 */
export function matchRoute(method: string, pathname: string): RouteMatch | undefined {
  for (const { pattern, routes } of PATHS) {
    const match = pattern.exec(pathname);
    if (!match) continue;
    return {
      name: routes.get(method),
      methods: [...routes.keys()],
      isPublic: [...routes.values()].every((name) => ROUTES[name].access === "public"),
      parts: { ...match.groups },
    };
  }
  return undefined;
}

function compilePaths() {
  const byPath = new Map<string, Map<string, RouteName>>();
  for (const [name, { method, path }] of Object.entries<Route>(ROUTES)) {
    const routes = byPath.get(path) ?? new Map<string, RouteName>();
    byPath.set(path, routes.set(method, name as RouteName));
  }
  return [...byPath].map(([path, routes]) => ({ pattern: compileTemplate(path), routes }));
}

/** `/-/admin/locks/{email}` becomes `^/-/admin/locks/(?<email>[^/]+)$`. */
function compileTemplate(path: string): RegExp {
  const segments = path.split("/").map((segment) => {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    return name === undefined ? segment.replace(/[.*+?^$()[\]{}|\\]/g, "\\$&") : `(?<${name}>[^/]+)`;
  });
  return new RegExp(`^${segments.join("/")}$`);
}
