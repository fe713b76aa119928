import { jsonError } from "../json.ts";
import { serveAdmin } from "./admin/router.ts";
import { serveKubeconfig } from "./kubeconfig.ts";
import { stateReason } from "./reason.ts";
import type { ApiRequest } from "./request.ts";
import { serveWhoami } from "./whoami.ts";

type Method = "GET" | "POST";

const ROUTES: Readonly<Record<string, readonly [Method, (request: ApiRequest) => Response | Promise<Response>]>> = {
  "/-/whoami": ["GET", serveWhoami],
  "/-/kubeconfig": ["GET", serveKubeconfig],
  "/-/reason": ["POST", stateReason],
};

const ADMIN_PREFIX = "/-/admin/";

/** Serves what is ours and never Kubernetes'. */
export async function serveApi(own: ApiRequest): Promise<Response> {
  const { pathname } = own.url;
  if (pathname.startsWith(ADMIN_PREFIX)) return serveAdmin(own);
  const route = Object.hasOwn(ROUTES, pathname) ? ROUTES[pathname] : undefined;
  if (!route) return jsonError("not_found", `there is no ${pathname} here`);
  const [method, serve] = route;
  return own.request.method === method
    ? serve(own)
    : jsonError("method_not_allowed", `use ${method}`, { Allow: method });
}
