import type { Category } from "../../audit/requests.ts";
import { pathAmbiguity, rawRequestTarget } from "../../kubernetes/path.ts";
import { parseRequestInfo, type RequestInfo } from "../../kubernetes/request-info.ts";
import type { RequestTrace } from "./request-trace.ts";
import type { UnsavedRow } from "./tally.ts";

/** The client writes these into the record: they must not fill it. */
const MAX_PATH_CHARS = 2_048;
const MAX_NAME_CHARS = 512;
const MAX_REASON_CHARS = 512;
const MAX_USER_AGENT_CHARS = 512;
const MAX_HEADER_CHARS = 64;

/** Below it a path is a workload's own, and may be a link that resets a password. Not for nodes: that is the kubelet's. */
const PROXIED = /^(\/api\/v1\/(?:watch\/)?namespaces\/[^/]+\/(?:pods|services)\/[^/]+\/proxy\/).+/;

/**
 * Makes a request's row: all that it says is of its head.
 *
 * Of the query nothing is kept, not even its keys: values are commands and tokens, and what Kubernetes reads there that
 * matters (`watch`, `fieldSelector=metadata.name`) is in `verb` and `name`. `dryRun` is left out on purpose: a
 * DeleteOptions in the body overrules it, so the row could call a real deletion a dry run.
 *
 * @param status of the answer
 */
export function buildRequestRow(request: Request, facts: RequestTrace, category: Category, status: number): UnsavedRow {
  const { at, user = null, identity, cluster = null, rule = null, refusal, failure, destination } = facts;
  const { method, headers } = request;
  const target = rawRequestTarget(request.url);
  const country = request.cf?.["country"];
  return {
    ...{ at, user, kubernetes_user: identity?.user ?? null, cluster, category },
    ...{ decision: refusal ? "refused" : "allowed", rule, refusal: refusal?.code ?? null },
    reason: truncate(refusal?.message ?? failure, MAX_REASON_CHARS),
    method: truncate(method, MAX_HEADER_CHARS),
    path: truncate(target.pathname.replace(PROXIED, "$1…"), MAX_PATH_CHARS),
    ...describe(destination === "sallyport" ? undefined : (facts.info ?? readInfo(method, target))),
    status: refusal || failure !== undefined ? null : status,
    count: 1,
    client_address: truncate(headers.get("CF-Connecting-IP"), MAX_HEADER_CHARS),
    country: typeof country === "string" ? country : null,
    user_agent: truncate(headers.get("User-Agent"), MAX_USER_AGENT_CHARS),
    ray: truncate(headers.get("CF-Ray"), MAX_HEADER_CHARS),
  };
}

/** A request that was refused before it was read has its reading here, where there is only one. */
function readInfo(method: string, target: ReturnType<typeof rawRequestTarget>): RequestInfo | undefined {
  if (pathAmbiguity(target.pathname) !== undefined) return undefined;
  const info = parseRequestInfo(method, target);
  return "error" in info ? undefined : info;
}

function describe(info: RequestInfo | undefined) {
  const isResource = info?.isResourceRequest ?? false;
  const part = (text: string | undefined) => (isResource ? truncate(text, MAX_NAME_CHARS) : null);
  return {
    verb: truncate(info?.verb, MAX_HEADER_CHARS),
    // The core group is "", and "" it is in RBAC's own terms.
    api_group: isResource ? truncate(info?.apiGroup, MAX_NAME_CHARS) : null,
    resource: part(info?.resource),
    subresource: part(info?.subresource) || null,
    namespace: part(info?.namespace) || null,
    name: part(info?.name) || null,
  };
}

function truncate(text: string | null | undefined, chars: number): string | null {
  return text?.slice(0, chars) ?? null;
}
