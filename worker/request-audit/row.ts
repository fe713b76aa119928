import type { Category } from "../../audit/request-categories.ts";
import { maskControlCharacters } from "../../common/text.ts";
import { findPathAmbiguity, type RequestTarget, rawRequestTarget } from "../../kubernetes/path.ts";
import { parseRequestInfo, type RequestInfo } from "../../kubernetes/request-info.ts";
import type { RequestTrace } from "./request-trace.ts";
import type { UnsavedRow } from "./tally.ts";

/** The client chooses these texts. The bounds keep it from filling the audit log. */
const MAX_PATH_CHARS = 2_048;
const MAX_NAME_CHARS = 512;
const MAX_REASON_CHARS = 512;
const MAX_USER_AGENT_CHARS = 512;
const MAX_HEADER_CHARS = 64;

/** What follows is a workload's own path, perhaps with a secret in it. The kubelet's is kept. */
const PROXIED = /^(\/api\/v1\/(?:watch\/)?namespaces\/[^/]+\/(?:pods|services)\/[^/]+\/proxy\/).+/;

/**
 * Makes a request's row from its head alone.
 *
 * Nothing of the query is kept, not even its keys: values are commands and tokens. What Kubernetes reads
 * there and is of interest (`watch`, `fieldSelector=metadata.name`) is in `verb` and `name`. `dryRun` is left
 * out on purpose: a DeleteOptions in the body overrides it, so the row could call a real deletion a dry run.
 *
 * @param status the answer's HTTP status
 */
export function buildRequestRow(request: Request, trace: RequestTrace, category: Category, status: number): UnsavedRow {
  const { at, user = null, identity, acting, cluster = null, rule = null, denial, failure, destination } = trace;
  const { method, headers } = request;
  const target = rawRequestTarget(request.url);
  const country = request.cf?.["country"];
  return {
    ...{ at, user, kubernetes_user: (acting ?? identity)?.user ?? null, cluster, category },
    ...{ decision: denial ? "refused" : "allowed", rule, refusal: denial?.code ?? null },
    reason: truncate(denial?.message ?? failure, MAX_REASON_CHARS),
    method: truncate(method, MAX_HEADER_CHARS),
    path: truncate(target.pathname.replace(PROXIED, "$1…"), MAX_PATH_CHARS),
    ...describe(destination === "sallyport" ? undefined : (trace.info ?? parseUnambiguous(method, target))),
    status: denial || failure !== undefined ? null : status,
    count: 1,
    client_address: truncate(headers.get("CF-Connecting-IP"), MAX_HEADER_CHARS),
    country: typeof country === "string" ? country : null,
    user_agent: truncate(headers.get("User-Agent"), MAX_USER_AGENT_CHARS),
    ray: truncate(headers.get("CF-Ray"), MAX_HEADER_CHARS),
  };
}

/** For a request that was denied before it was classified, if there is only one way to read its path. */
function parseUnambiguous(method: string, target: RequestTarget): RequestInfo | undefined {
  if (findPathAmbiguity(target.pathname) !== undefined) return undefined;
  const info = parseRequestInfo(method, target);
  return info.ok ? info.value : undefined;
}

function describe(info: RequestInfo | undefined) {
  const isResource = info?.isResourceRequest ?? false;
  const part = (text: string | undefined) => (isResource ? truncate(text, MAX_NAME_CHARS) : null);
  return {
    verb: truncate(info?.verb, MAX_HEADER_CHARS),
    // The core group's name is the empty string, as in RBAC.
    api_group: isResource ? truncate(info?.apiGroup, MAX_NAME_CHARS) : null,
    resource: part(info?.resource),
    subresource: part(info?.subresource) || null,
    namespace: part(info?.namespace) || null,
    name: part(info?.name) || null,
  };
}

function truncate(text: string | null | undefined, chars: number): string | null {
  return text === null || text === undefined ? null : maskControlCharacters(text, chars);
}
