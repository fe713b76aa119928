/** Which API requests are in the audit log, and under which category. Pure. */
import type { Category } from "../../audit/request-categories.ts";
import { type RequestInfo, withSubresource } from "../../kubernetes/request-info.ts";
import { KUBEVIRT_SUBRESOURCES } from "../../kubernetes/session-target.ts";
import type { RequestAuditConfig } from "../config/schema.ts";
import { isReadMethod } from "../methods.ts";
import { matches, type RuleQuery, resourceOf } from "../policy/evaluate-rules.ts";
import { matchesGlob } from "../policy/glob.ts";
import { isAdminPath } from "../surfaces.ts";
import { writesPods } from "./pod-resources.ts";

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
  const { info } = query;
  const { precursors, secretReads, mutations } = config;
  const isIncluded = ({ record, except }: RequestAuditConfig["mutations"]) =>
    record && !except.some((match) => matches(match, query));
  // Before the status: the 403 may be the workload's own, after it has acted.
  if (info.subresource === "proxy" && isIncluded(precursors)) return "precursor";
  // Not 401: it would be about Sallyport's own account at the cluster, and the same for every request.
  if (status === 403) return "denied";
  // By method, not by verb: a POST under `/api/v1/watch/…` has the verb `watch`, and an aggregated API may
  // act on it.
  const isWrite = !isReadMethod(method);
  if (issuesTokens(info, isWrite)) return "token";
  const isPrecursor = reachesWorkload(info) || (isWrite && preparesCommand(info, method));
  if (isPrecursor && isIncluded(precursors)) return "precursor";
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

/** @param method of a write */
function preparesCommand(info: RequestInfo, method: string): boolean {
  const { isResourceRequest, apiGroup, resource, subresource } = info;
  if (!isResourceRequest) return false;
  if (GUARDS.has(apiGroup)) return true;
  // PUT and PATCH too: a server-side apply creates what is missing, and both may change the image of what is
  // there. A deletion runs nothing.
  if (writesPods(method, info)) return true;
  return method !== "DELETE" && (PRECURSORS.get(apiGroup)?.has(withSubresource(resource, subresource)) ?? false);
}

/**
 * Whether a request goes through the API server to something that acts on it, whatever the method: a
 * workload, a kubelet, another cluster, a virtual machine. A GET of a workload may run a command in it.
 */
export function reachesWorkload({ isResourceRequest, apiGroup, resource, subresource }: RequestInfo): boolean {
  if (!isResourceRequest) return false;
  if (subresource === "proxy") return true;
  return apiGroup === KUBEVIRT_SUBRESOURCES && !KUBEVIRT_STATUS.has(resource);
}

/** What KubeVirt serves beside its virtual machines (pkg/virt-api/api.go), without any effect. */
const KUBEVIRT_STATUS: ReadonlySet<string> = new Set(["version", "healthz", "guestfs"]);

/**
 * Groups whose objects decide on other requests, so that their deletion opens something too: webhooks and
 * admission policies.
 */
const GUARDS: ReadonlySet<string> = new Set(["admissionregistration.k8s.io"]);

/** API group → what else runs commands, or lets somebody run them, once it is written. */
const PRECURSORS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    "": ["pods/binding", "pods/resize", "bindings"],
    // A StatefulSet or DaemonSet may be rolled back to one.
    apps: ["controllerrevisions"],
    "kubevirt.io": ["virtualmachines", "virtualmachineinstances", "virtualmachineinstancereplicasets"],
    // A role gives its power to everybody who is bound to it already.
    "rbac.authorization.k8s.io": ["roles", "clusterroles", "rolebindings", "clusterrolebindings"],
    // Their servers see, and answer, other people's requests.
    "apiregistration.k8s.io": ["apiservices"],
    "apiextensions.k8s.io": ["customresourcedefinitions"],
  }).map(([group, resources]) => [group, new Set(resources)]),
);

function isSecret(info: RequestInfo, resources: readonly string[]): boolean {
  const resource = resourceOf(info);
  return resource !== "" && resources.some((pattern) => matchesGlob(pattern, resource));
}

/** Whether a request to the admin API is recorded: commands are, and so is who looked at which session. */
export function isAuditedAdminRequest(method: string, pathname: string): boolean {
  return isAdminPath(pathname) && (!isReadMethod(method) || /\/(?:recording|watch)$/.test(pathname));
}
