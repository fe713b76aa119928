import type { Category } from "../../audit/request-categories.ts";
import type { AuditedRequest } from "../../audit/request-events.ts";
import { maskControlCharacters } from "../../common/text.ts";
import { REQUEST_TEXT_CHARS } from "../../contract/request-record.ts";
import { findPathAmbiguity, type RequestTarget, rawRequestTarget } from "../../kubernetes/path.ts";
import { proxiedPath } from "../../kubernetes/proxied-path.ts";
import { parseRequestInfo, type RequestInfo } from "../../kubernetes/request-info.ts";
import type { SignIn } from "../access/sign-in.ts";
import type { ActingIdentity } from "../policy/acting.ts";
import type { RequestTrace } from "./request-trace.ts";

/**
 * Describes a request for the audit log by its head alone. The client chooses most of these texts; their
 * bounds keep it from filling the log.
 *
 * Nothing of the query is kept, not even its keys: values are commands and tokens. What Kubernetes reads
 * there and is of interest (`watch`, `fieldSelector=metadata.name`) is in `verb` and `name`. `dryRun` is left
 * out on purpose: a DeleteOptions in the body overrides it, so the row could call a real deletion a dry run.
 *
 * @param status the answer's HTTP status; null while it is not known
 */
export function describeRequest(
  request: Request,
  trace: RequestTrace,
  category: Category,
  status: number | null,
): AuditedRequest {
  const {
    at,
    user,
    signIn,
    identity,
    groups = identity?.groups ?? [],
    acting,
    cluster,
    locationHint = null,
    grants = [],
    rule,
    denial,
    failure,
    destination,
  } = trace;
  const { method, headers } = request;
  const target = rawRequestTarget(request.url);
  const info = destination === "sallyport" ? undefined : (trace.info ?? parseUnambiguous(method, target));
  const country = request.cf?.["country"];
  return {
    user: mask(user, REQUEST_TEXT_CHARS.identity),
    location_hint: locationHint,
    arrived_at: at,
    kubernetes_user: mask((acting ?? identity)?.user, REQUEST_TEXT_CHARS.identity),
    ...(identity && acting && describeActing(identity.user, groups, acting)),
    cluster: mask(cluster, REQUEST_TEXT_CHARS.name),
    category,
    decision: denial ? "refused" : "allowed",
    rule: mask(rule, REQUEST_TEXT_CHARS.name),
    refusal: denial?.code ?? null,
    reason: mask(denial?.message ?? failure, REQUEST_TEXT_CHARS.reason),
    method: mask(method, REQUEST_TEXT_CHARS.short) ?? "",
    path: keepsPath(method, info, destination) ? mask(withoutProxied(target, info), REQUEST_TEXT_CHARS.path) : null,
    ...describeInfo(info),
    status: denial || failure !== undefined ? null : status,
    client_address: mask(headers.get("CF-Connecting-IP"), REQUEST_TEXT_CHARS.short),
    country: typeof country === "string" ? mask(country, REQUEST_TEXT_CHARS.short) : null,
    user_agent: mask(headers.get("User-Agent"), REQUEST_TEXT_CHARS.userAgent),
    ray: mask(headers.get("CF-Ray"), REQUEST_TEXT_CHARS.short),
    ...(signIn && describeSignIn(signIn)),
    ...(grants.length > 0 && { grants: cutList(grants) }),
  };
}

function describeSignIn({ kind, deviceId }: SignIn) {
  return { ...(kind !== null && { sign_in: kind }), ...(deviceId !== null && { device_id: deviceId }) };
}

function describeActing(user: string, groups: readonly string[], acting: ActingIdentity) {
  return {
    kubernetes_groups: cutList(acting.groups),
    own_kubernetes_user: mask(user, REQUEST_TEXT_CHARS.identity) ?? "",
    own_kubernetes_groups: cutList(groups),
  };
}

/** The configuration may give any number of groups, and of grants. */
function cutList(names: readonly string[]): string[] {
  const kept: string[] = [];
  let chars = 0;
  for (const name of names) {
    chars += name.length;
    if (chars > REQUEST_TEXT_CHARS.groups) return [...kept, `… and ${names.length - kept.length} more`];
    kept.push(name);
  }
  return kept;
}

/** For a request that was denied before it was classified, if there is only one way to read its path. */
function parseUnambiguous(method: string, target: RequestTarget): RequestInfo | undefined {
  if (findPathAmbiguity(target.pathname) !== undefined) return undefined;
  const info = parseRequestInfo(method, target);
  return info.ok ? info.value : undefined;
}

/**
 * Only a path that Kubernetes routes to a resource says what was asked for, and is short by nature: a POST to
 * `selfsubjectaccessreviews/` and 2,000 characters is answered 405 as often as somebody likes.
 */
function keepsPath(method: string, info: RequestInfo | undefined, destination: RequestTrace["destination"]): boolean {
  if (destination === "sallyport") return true;
  if (!info?.isResourceRequest) return false;
  const { name, namespace, resource, subresource } = info;
  if (method === "POST" && name !== "" && subresource === "") return false;
  return [name, namespace, resource].every(({ length }) => length <= REQUEST_TEXT_CHARS.name);
}

/**
 * What follows `proxy/` is a workload's own path, perhaps with a secret in it, however the client spells what
 * is before it. The kubelet's is kept.
 */
function withoutProxied(target: RequestTarget, info: RequestInfo | undefined): string {
  const { pathname } = target;
  const isOfWorkload = info?.subresource === "proxy" && info.apiGroup === "" && WORKLOADS.has(info.resource);
  const kept = isOfWorkload ? proxiedPath(target, info) : undefined;
  return kept !== undefined && pathname.length > kept.length ? `${kept}…` : pathname;
}

const WORKLOADS: ReadonlySet<string> = new Set(["pods", "services"]);

function describeInfo(info: RequestInfo | undefined) {
  const isResource = info?.isResourceRequest ?? false;
  const part = (text: string | undefined) => (isResource ? mask(text, REQUEST_TEXT_CHARS.name) : null);
  return {
    verb: mask(info?.verb, REQUEST_TEXT_CHARS.short),
    // The core group's name is the empty string, as in RBAC.
    api_group: part(info?.apiGroup),
    resource: part(info?.resource),
    subresource: part(info?.subresource) || null,
    namespace: part(info?.namespace) || null,
    name: part(info?.name) || null,
  };
}

function mask(text: string | null | undefined, chars: number): string | null {
  return text === null || text === undefined ? null : maskControlCharacters(text, chars);
}
