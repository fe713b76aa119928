import { denial } from "../../../contract/denial.ts";
import { checkCrossSite } from "../../access/cross-site.ts";
import { jsonError } from "../../json.ts";
import type { ApiRequest } from "../request.ts";
import { endSession, endUserSessions } from "./end-sessions.ts";
import { showExport } from "./export.ts";
import { lockUser, showLock, unlockUser } from "./locks.ts";
import { readRecording } from "./recording.ts";
import type { AdminRequest } from "./request.ts";
import { listRequests } from "./requests.ts";
import { listSessions, showSession } from "./sessions.ts";

type Route = {
  readonly pattern: RegExp;
  readonly methods: Readonly<Record<string, (request: AdminRequest) => Promise<Response>>>;
};

const ROUTES: readonly Route[] = [
  { pattern: /^\/-\/admin\/sessions$/, methods: { GET: listSessions } },
  { pattern: /^\/-\/admin\/sessions\/([^/]+)$/, methods: { GET: showSession, DELETE: endSession } },
  { pattern: /^\/-\/admin\/sessions\/([^/]+)\/recording$/, methods: { GET: readRecording } },
  { pattern: /^\/-\/admin\/requests$/, methods: { GET: listRequests } },
  { pattern: /^\/-\/admin\/export$/, methods: { GET: showExport } },
  { pattern: /^\/-\/admin\/locks\/([^/]+)$/, methods: { GET: showLock, PUT: lockUser, DELETE: unlockUser } },
  { pattern: /^\/-\/admin\/users\/([^/]+)\/sessions$/, methods: { DELETE: endUserSessions } },
];

const NAMES_USER = /^\/-\/admin\/(?:locks|users)\//;

/** Serves `/-/admin/…` to administrators, from clients or from pages of this host. */
export async function serveAdmin(own: ApiRequest): Promise<Response> {
  const { request, url, subject, identity: admin, config, env, deny } = own;
  const forbid = (message: string) => deny(denial("not_admin", message));
  const sameSite = checkCrossSite(request.headers, url);
  if (!sameSite.ok) return deny(sameSite.error);
  const { adminAudiences } = config.access;
  if (adminAudiences && !adminAudiences.some((audience) => subject.audiences.includes(audience))) {
    return forbid("the admin API is behind an Access application of its own: sign in there");
  }
  const isReader = admin.roles.includes("auditor") && request.method === "GET";
  if (!admin.roles.includes("admin") && !isReader) {
    const role = request.method === "GET" ? "admin or auditor" : "admin";
    return forbid(`${admin.name} has not the role ${role} here: ask whoever keeps the identity rules`);
  }
  for (const { pattern, methods } of ROUTES) {
    const match = pattern.exec(url.pathname);
    if (!match) continue;
    const serve = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined;
    if (!serve) {
      const allowed = Object.keys(methods).join(", ");
      return jsonError("method_not_allowed", `use ${allowed}`, { Allow: allowed });
    }
    const part = decodePart(match[1] ?? "");
    if (part === undefined) return jsonError("bad_request", "the path has an invalid percent-encoding");
    // No user has such a name (worker/access/authenticate.ts), and with a space in it, it could be another's object.
    if (NAMES_USER.test(url.pathname) && !/^[!-~]+$/.test(part))
      return jsonError("bad_request", "a name here is visible ASCII without spaces");
    return serve({ request, url, admin, config, env, part });
  }
  return jsonError("not_found", `there is no ${url.pathname} here; see the admin API in docs/OPERATIONS.md`);
}

function decodePart(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
