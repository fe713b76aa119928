/** Which API requests are in the audit log, and under which category. Pure. */
import type { Category } from "../../audit/request-categories.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { RequestAuditConfig } from "../config/schema.ts";
import { isReadMethod } from "../methods.ts";
import { matches, type RuleQuery, resourceOf } from "../policy/evaluate-rules.ts";
import { matchesGlob } from "../policy/glob.ts";
import { isAdminPath } from "../surfaces.ts";

/** An API request that Sallyport allowed. */
export interface AllowedRequest {
  readonly method: string;
  readonly query: RuleQuery;
  /** The cluster's HTTP status; null where no answer came. */
  readonly status: number | null;
}

/**
 * The category under which a request is recorded, or `none`.
 *
 * Denied requests and those for tokens are always recorded. Every other request gets the first category that
 * applies and that the configuration has not excluded it from: a pod's creation is still a mutation where
 * precursors are off.
 */
export function categorize({ method, query, status }: AllowedRequest, config: RequestAuditConfig): Category | "none" {
  // Not 401: it would be about Sallyport's own account at the cluster, and the same for every request.
  if (status === 403) return "denied";
  const { info } = query;
  // By method, not by verb: a POST under `/api/v1/watch/…` has the verb `watch`, and an aggregated API may
  // act on it.
  const isWrite = !isReadMethod(method);
  if (issuesTokens(info, isWrite)) return "token";
  const { precursors, secretReads, mutations } = config;
  const isIncluded = ({ record, except }: RequestAuditConfig["mutations"]) =>
    record && !except.some((match) => matches(match, query));
  if (isPrecursor(info, method, isWrite) && isIncluded(precursors)) return "precursor";
  if (isWrite && isIncluded(mutations)) return "mutation";
  // Writes included: the answer to a PATCH that changes nothing, or to a dry run, is the whole secret.
  if (method !== "OPTIONS" && isSecret(info, secretReads.resources) && isIncluded(secretReads)) return "secret-read";
  return "none";
}

/** A GET of these returns an issued certificate. */
const CERTIFICATES: ReadonlySet<string> = new Set(["certificatesigningrequests", "podcertificaterequests"]);

function issuesTokens({ isResourceRequest, apiGroup, resource, subresource }: RequestInfo, isWrite: boolean): boolean {
  if (!isResourceRequest) return false;
  switch (apiGroup) {
    case "":
      return resource === "serviceaccounts" && subresource === "token";
    case "certificates.k8s.io":
      return isWrite || CERTIFICATES.has(resource);
    // Reviews are asked for by POST. They tell what a stolen identity is good for.
    case "authentication.k8s.io":
    case "authorization.k8s.io":
      return isWrite;
    default:
      return false;
  }
}

function isPrecursor(
  { isResourceRequest, apiGroup, resource, subresource }: RequestInfo,
  method: string,
  isWrite: boolean,
): boolean {
  if (!isResourceRequest || apiGroup !== "") return false;
  switch (resource) {
    case "pods":
      // PUT and PATCH too: a server-side apply creates a missing pod, and both may change the image of one.
      return isWrite && (subresource === "" ? method !== "DELETE" : POD_PRECURSORS.has(subresource));
    case "bindings":
      return isWrite;
    case "nodes":
      // Where a rule opens it: the kubelet runs commands by a plain POST, and shows every pod's environment
      // by GET.
      return subresource === "proxy";
    default:
      return false;
  }
}

/** `kubectl debug --attach=false` runs its command by ephemeralcontainers alone, without any session. */
const POD_PRECURSORS: ReadonlySet<string> = new Set(["ephemeralcontainers", "binding"]);

function isSecret(info: RequestInfo, resources: readonly string[]): boolean {
  const resource = resourceOf(info);
  return resource !== "" && resources.some((pattern) => matchesGlob(pattern, resource));
}

/** Whether a request to the admin API is recorded: commands are, and so is who read which recording. */
export function isAuditedAdminRequest(method: string, pathname: string): boolean {
  return isAdminPath(pathname) && (!isReadMethod(method) || pathname.endsWith("/recording"));
}
