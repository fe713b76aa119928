/** Which requests matter, and by what. Pure. */
import type { Category } from "../../audit/requests.ts";
import type { RequestInfo } from "../../kubernetes/request-info.ts";
import type { RequestAuditConfig } from "../config/schema.ts";
import { isReadMethod } from "../methods.ts";
import { matches, type RuleQuery, resourceOf } from "../policy/evaluate-rules.ts";
import { matchesGlob } from "../policy/glob.ts";

/** A plain request that Sallyport let through. */
export interface Allowed {
  readonly method: string;
  readonly asked: RuleQuery;
  /** What the cluster answered; null where no answer came. */
  readonly status: number | null;
}

/**
 * The category under which a request is written, or `none`.
 *
 * Denied and token requests are always written. Of the others a request is written under the first category that it fits
 * and that the configuration has not narrowed away: a pod's creation is still a mutation where precursors are off.
 */
export function categorize({ method, asked, status }: Allowed, config: RequestAuditConfig): Category | "none" {
  // Not 401: that is about Sallyport's own account at the cluster, and would be every request's answer.
  if (status === 403) return "denied";
  const { info } = asked;
  // By method, never by verb: a POST under `/api/v1/watch/…` has the verb `watch`, and an aggregated API may act on it.
  const isWrite = !isReadMethod(method);
  if (isTokenSurface(info, isWrite)) return "token";
  const { precursors, secretReads, mutations } = config;
  const isWanted = ({ record, except }: RequestAuditConfig["mutations"]) =>
    record && !except.some((match) => matches(match, asked));
  if (isPrecursor(info, method, isWrite) && isWanted(precursors)) return "precursor";
  if (isWrite && isWanted(mutations)) return "mutation";
  // Also of a write: a PATCH that changes nothing, or a dry run, is answered with the whole secret.
  if (method !== "OPTIONS" && isSecret(info, secretReads.resources) && isWanted(secretReads)) return "secret-read";
  return "none";
}

/** Reviews are asked by POST; a certificate is also taken out by GET. */
const CERTIFICATES: ReadonlySet<string> = new Set(["certificatesigningrequests", "podcertificaterequests"]);

function isTokenSurface(
  { isResourceRequest, apiGroup, resource, subresource }: RequestInfo,
  isWrite: boolean,
): boolean {
  if (!isResourceRequest) return false;
  switch (apiGroup) {
    case "":
      return resource === "serviceaccounts" && subresource === "token";
    case "certificates.k8s.io":
      return isWrite || CERTIFICATES.has(resource);
    // All of both: selfsubjectreviews, tokenreviews, and access reviews, which say what a stolen identity is good for.
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
      // PUT and PATCH too: a server-side apply creates the pod that is not there, and either may change its image.
      return isWrite && (subresource === "" ? method !== "DELETE" : POD_PRECURSORS.has(subresource));
    case "bindings":
      return isWrite;
    case "nodes":
      // Where a rule opens it: the kubelet runs commands by a plain POST, and shows every pod's environment by GET.
      return subresource === "proxy";
    default:
      return false;
  }
}

/** `kubectl debug --attach=false` runs its command by ephemeralcontainers alone, and no session is ever opened. */
const POD_PRECURSORS: ReadonlySet<string> = new Set(["ephemeralcontainers", "binding"]);

function isSecret(info: RequestInfo, resources: readonly string[]): boolean {
  const resource = resourceOf(info);
  return resource !== "" && resources.some((pattern) => matchesGlob(pattern, resource));
}

/** The part of a request to the admin API that is on record: orders, and who watched which recording. */
export function isAuditedAdminRequest(method: string, pathname: string): boolean {
  if (!pathname.startsWith("/-/admin/")) return false;
  return !isReadMethod(method) || pathname.endsWith("/recording");
}
