/** Who may call a route of the API. */
import { err, ok, type Result } from "../../common/result.ts";
import { checkCrossSite } from "../access/cross-site.ts";
import { type Denial, denial } from "../denials.ts";
import { isReadMethod } from "../methods.ts";
import type { CheckAccess } from "../sessions/access-watch.ts";
import type { ApiRequest } from "./request.ts";
import type { Access } from "./route.ts";

/** Checks that the caller may call a route, and that no page of another site made the request. */
export function authorize(access: Access, api: ApiRequest): Result<null, Denial> {
  const { request, url } = api;
  const isForRole = access === "auditor" || access === "admin";
  // A page of another site may cause a read of the caller's own data: without CORS headers it never sees the
  // answer. A WebSocket it could read.
  const isHarmless = access === "user" && isReadMethod(request.method) && !request.headers.has("Upgrade");
  const sameSite = isHarmless ? ok(null) : checkCrossSite(request.headers, url);
  return sameSite.ok && isForRole ? authorizeRole(access, api) : sameSite;
}

/** Checks again that the caller may call a route, as they are known by now. The request itself is the same. */
export function checkAccessTo(access: Access, api: ApiRequest): CheckAccess {
  return async (maxAgeMs) => {
    const now = await api.identifyAgain(maxAgeMs);
    if (!now.ok) return now;
    return access === "auditor" || access === "admin" ? authorizeRole(access, { ...api, ...now.value }) : ok(null);
  };
}

function authorizeRole(access: "auditor" | "admin", { subject, identity, config }: ApiRequest): Result<null, Denial> {
  const { adminAudiences } = config.access;
  if (adminAudiences && !adminAudiences.some((audience) => subject.audiences.includes(audience))) {
    return err(denial("not_admin", "the admin API is behind an Access application of its own: sign in there"));
  }
  const { name, roles } = identity;
  if (roles.includes("admin") || (access === "auditor" && roles.includes("auditor"))) return ok(null);
  const needed = access === "auditor" ? "admin or auditor" : "admin";
  const message = `this requires the role ${needed}, which ${name} does not have: contact your administrator`;
  return err(denial("not_admin", message));
}
