/**
 * Parses a request as the API server does: a port of
 * k8s.io/apiserver/pkg/endpoints/request/requestinfo.go, as of Kubernetes 1.36. Authorization
 * and audit in the cluster depend on this parse, so Sallyport's must be the same.
 */
import { err, ok, type Result } from "../common/result.ts";
import { requiredFieldValue } from "./field-selector.ts";
import { decodePathname, type RequestTarget } from "./path.ts";
import { getBooleanParameter, getParameter, parseQuery, type Query } from "./query.ts";

/** A request as the API server sees it. Missing parts are empty strings, as in Go. */
export interface RequestInfo {
  /** False for discovery, `/version`, `/healthz` and every other path without an API resource. */
  readonly isResourceRequest: boolean;
  /** Percent-decoded. */
  readonly path: string;
  /**
   * The Kubernetes verb, or "" for an unmapped method. For a non-resource
   * request, the HTTP method in lower case.
   */
  readonly verb: string;
  readonly apiPrefix: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** The segments of the path from the resource on: `{resource}/{name}/{subresource}/…`. */
  readonly parts: readonly string[];
  /** As sent, for list, watch and deletecollection only. */
  readonly fieldSelector: string;
  readonly labelSelector: string;
}

/** Verbs in the path, before the resource: `/api/v1/watch/pods`. */
const PATH_VERBS: ReadonlySet<string> = new Set(["proxy", "watch"]);

/** Subresources of the namespace itself: `/namespaces/{name}/status`. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

const VERBS_WITH_SELECTORS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

/**
 * Parses a request as the API server does.
 *
 * As a faithful port, it also accepts ambiguous paths, which must never be sent on. Call `findPathAmbiguity`
 * first, or use `classify`, which does.
 *
 * @param method as sent. Go compares it exactly, so `get` is not GET.
 * @returns the error, for a person, when the path cannot be parsed: `/api/v1/watch`, invalid percent-encoding
 */
export function parseRequestInfo(method: string, target: RequestTarget): Result<RequestInfo, string> {
  const path = decodePathname(target.pathname);
  if (path === undefined) return err("the path has invalid percent-encoding or is not UTF-8");

  const nonResource: RequestInfo = {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    apiPrefix: "",
    apiGroup: "",
    apiVersion: "",
    namespace: "",
    resource: "",
    subresource: "",
    name: "",
    parts: [],
    fieldSelector: "",
    labelSelector: "",
  };
  const [apiPrefix = "", ...afterPrefix] = splitPath(path);
  if (afterPrefix.length < 2 || (apiPrefix !== "api" && apiPrefix !== "apis")) return ok(nonResource);
  // Paths under `/apis` have an API group, paths under `/api` do not.
  const hasGroup = apiPrefix === "apis";
  if (hasGroup && afterPrefix.length < 3) return ok({ ...nonResource, apiPrefix });
  const apiGroup = hasGroup ? (afterPrefix[0] ?? "") : "";
  const [apiVersion = "", ...afterVersion] = hasGroup ? afterPrefix.slice(1) : afterPrefix;

  const pathVerb = PATH_VERBS.has(afterVersion[0] ?? "") ? afterVersion[0] : undefined;
  const resourcePath = pathVerb === undefined ? afterVersion : afterVersion.slice(1);
  if (resourcePath.length === 0) return err(`the path has the verb ${pathVerb} and no resource`);

  const { namespace, parts } = splitNamespace(resourcePath);
  const methodVerb = pathVerb ?? verbOfMethod(method);
  const [resource = "", partsName = "", partsSubresource = ""] = parts;
  const { verb, name, fieldSelector, labelSelector } = applyQuery(methodVerb, partsName, parseQuery(target.search));
  return ok({
    isResourceRequest: true,
    path,
    verb,
    apiPrefix,
    apiGroup,
    apiVersion,
    namespace,
    resource,
    // For the legacy proxy verb, everything after the name is the proxied path.
    subresource: pathVerb === "proxy" ? "" : partsSubresource,
    name,
    parts,
    // The API server ignores selectors under `/watch/…`.
    fieldSelector: pathVerb === undefined ? fieldSelector : "",
    labelSelector: pathVerb === undefined ? labelSelector : "",
  });
}

function verbOfMethod(method: string): string {
  switch (method) {
    case "POST":
      return "create";
    case "GET":
    case "HEAD":
      return "get";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return "delete";
    default:
      return "";
  }
}

/**
 * `namespaces/{ns}/pods/…` is about pods. `namespaces`,
 * `namespaces/{ns}` and `…/status` are about namespaces.
 */
function splitNamespace(resourcePath: readonly string[]): { namespace: string; parts: readonly string[] } {
  const [first, namespace = "", third] = resourcePath;
  if (first !== "namespaces") return { namespace: "", parts: resourcePath };
  const isNamespaced = third !== undefined && !NAMESPACE_SUBRESOURCES.has(third);
  return { namespace, parts: isNamespaced ? resourcePath.slice(2) : resourcePath };
}

/**
 * Applies list options: get without a name is list or watch, and delete without a name is deletecollection.
 */
function applyQuery(
  methodVerb: string,
  partsName: string,
  query: Query,
): Pick<RequestInfo, "verb" | "name" | "fieldSelector" | "labelSelector"> {
  let verb = methodVerb;
  let name = partsName;
  if (name === "" && verb === "get") {
    verb = getBooleanParameter(query, "watch") ? "watch" : "list";
    name = nameFromFieldSelector(query) ?? "";
  }
  if (name === "" && verb === "delete") verb = "deletecollection";
  const hasSelectors = VERBS_WITH_SELECTORS.has(verb);
  return {
    verb,
    name,
    fieldSelector: (hasSelectors && getParameter(query, "fieldSelector")) || "",
    labelSelector: (hasSelectors && getParameter(query, "labelSelector")) || "",
  };
}

/**
 * Returns the name of the object that `fieldSelector=metadata.name=…` restricts a list or watch to.
 *
 * The API server ignores the name when another list option does not parse. Label selectors are not parsed
 * here, so a request with one has no name, and neither has one with an invalid number. A rule that
 * allows a name then does not match it, and one that refuses a name reads the selector itself.
 */
function nameFromFieldSelector(query: Query): string | undefined {
  const areNumbersValid = ["limit", "timeoutSeconds"].every((key) =>
    /^[+-]?\d{1,18}$/.test(getParameter(query, key) ?? "0"),
  );
  if (!areNumbersValid || (getParameter(query, "labelSelector") ?? "") !== "") return undefined;
  const name = requiredFieldValue(getParameter(query, "fieldSelector") ?? "", "metadata.name");
  // IsPathSegmentName: text that cannot be a path segment is not a name.
  return name === undefined || name === "." || name === ".." || /[/%]/.test(name) ? undefined : name;
}

/**
 * Go's `strings.Trim(path, "/")`, then split. Not a regular expression, which is quadratic in the slashes.
 */
function splitPath(path: string): readonly string[] {
  let start = 0;
  let end = path.length;
  while (path[start] === "/") start++;
  while (end > start && path[end - 1] === "/") end--;
  return start === end ? [] : path.slice(start, end).split("/");
}

/** A resource with its subresource, as RBAC writes it: `pods/exec`. */
export function withSubresource(resource: string, subresource: string): string {
  return subresource === "" ? resource : `${resource}/${subresource}`;
}
