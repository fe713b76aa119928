/**
 * What the API server understands of a request: the rules of k8s.io/apiserver/pkg/endpoints/request/requestinfo.go, as of
 * Kubernetes 1.36. Authorisation and audit in the cluster rest on this reading, so ours has to be the same.
 */
import { pinnedField } from "./field-selector.ts";
import { decodePathname, type RequestTarget } from "./path.ts";
import { boolValue, firstValue, parseQuery } from "./query.ts";

/** A request as the API server sees it. Absent parts are empty strings, as they are there. */
export interface RequestInfo {
  /** False for discovery, `/version`, `/healthz` and every other path that names no API resource. */
  readonly isResourceRequest: boolean;
  /** The decoded path. */
  readonly path: string;
  /** The Kubernetes verb; for a non-resource request the HTTP method in lower case; "" for an unmapped method. */
  readonly verb: string;
  readonly apiPrefix: string;
  readonly apiGroup: string;
  readonly apiVersion: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  /** `{resource}/{name}/{subresource}/…`: the path from the resource on. */
  readonly parts: readonly string[];
  /** As sent; only for list, watch and deletecollection. */
  readonly fieldSelector: string;
  readonly labelSelector: string;
}

/** The API server could not make sense of the path either, or we could not read it. */
export interface RequestInfoError {
  readonly error: string;
}

/** Verbs that come before the resource in the path: `/api/v1/watch/pods`. */
const PATH_VERBS: ReadonlySet<string> = new Set(["proxy", "watch"]);

/** What may follow `/namespaces/{name}/` and still mean the namespace itself. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

const VERBS_WITH_SELECTORS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

/**
 * Reads a request as the API server does.
 *
 * A faithful port, so it also reads paths that must never be sent on; ask `pathAmbiguity` first, or use `classify`, which
 * does.
 *
 * @param method as sent: Go compares it exactly, so `get` is not GET.
 * @returns the request's info, or an error for a path without a reading (`/api/v1/watch`, broken escapes, not UTF-8).
 */
export function parseRequestInfo(method: string, target: RequestTarget): RequestInfo | RequestInfoError {
  const path = decodePathname(target.pathname);
  if (path === undefined) return { error: "the path has a broken percent-escape or is not UTF-8" };

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
  if (afterPrefix.length < 2 || (apiPrefix !== "api" && apiPrefix !== "apis")) return nonResource;
  // `/api` has no group in its paths; `/apis` has one.
  const grouped = apiPrefix === "apis";
  if (grouped && afterPrefix.length < 3) return { ...nonResource, apiPrefix };
  const apiGroup = grouped ? (afterPrefix[0] ?? "") : "";
  const [apiVersion = "", ...afterVersion] = grouped ? afterPrefix.slice(1) : afterPrefix;

  const pathVerb = PATH_VERBS.has(afterVersion[0] ?? "") ? afterVersion[0] : undefined;
  const resourcePath = pathVerb === undefined ? afterVersion : afterVersion.slice(1);
  if (resourcePath.length === 0) return { error: `the path names the verb ${pathVerb} and nothing to apply it to` };

  const { namespace, parts } = splitNamespace(resourcePath);
  const methodVerb = pathVerb ?? verbOfMethod(method);
  const [resource = "", partsName = "", partsSubresource = ""] = parts;
  const { verb, name, fieldSelector, labelSelector } = readOptions(methodVerb, partsName, target.search);
  return {
    isResourceRequest: true,
    path,
    verb,
    apiPrefix,
    apiGroup,
    apiVersion,
    namespace,
    resource,
    // The legacy proxy verb takes all that follows the name as the proxied path.
    subresource: pathVerb === "proxy" ? "" : partsSubresource,
    name,
    parts,
    // The multi-object and single-object forms of `/watch/…` differ in selectors, so the API server ignores them there.
    fieldSelector: pathVerb === undefined ? fieldSelector : "",
    labelSelector: pathVerb === undefined ? labelSelector : "",
  };
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

/** `namespaces/{ns}/pods/…` is about pods in ns; `namespaces`, `namespaces/{ns}` and `…/status` are about namespaces. */
function splitNamespace(resourcePath: readonly string[]): { namespace: string; parts: readonly string[] } {
  const [first, namespace = "", third] = resourcePath;
  if (first !== "namespaces") return { namespace: "", parts: resourcePath };
  const namespaced = third !== undefined && !NAMESPACE_SUBRESOURCES.has(third);
  return { namespace, parts: namespaced ? resourcePath.slice(2) : resourcePath };
}

/** What the query adds: get without a name is list or watch, delete without a name is deletecollection. */
function readOptions(
  methodVerb: string,
  partsName: string,
  search: string,
): Pick<RequestInfo, "verb" | "name" | "fieldSelector" | "labelSelector"> {
  const query = parseQuery(search);
  let verb = methodVerb;
  let name = partsName;
  if (name === "" && verb === "get") {
    verb = boolValue(query, "watch") ? "watch" : "list";
    name = selectedName(query) ?? "";
  }
  if (name === "" && verb === "delete") verb = "deletecollection";
  const selectors = VERBS_WITH_SELECTORS.has(verb);
  return {
    verb,
    name,
    fieldSelector: (selectors && firstValue(query, "fieldSelector")) || "",
    labelSelector: (selectors && firstValue(query, "labelSelector")) || "",
  };
}

/**
 * The name that `fieldSelector=metadata.name=…` pins a list or watch to.
 *
 * The API server forgets it when any other list option fails to parse. To name no more than it does, a request with a
 * label selector (whose grammar is not worth porting for this) or with an odd number gets no name here: a rule that
 * allows one name then does not match, which is the safe side.
 */
function selectedName(query: ReturnType<typeof parseQuery>): string | undefined {
  const numbersParse = ["limit", "timeoutSeconds"].every((key) =>
    /^[+-]?\d{1,18}$/.test(firstValue(query, key) ?? "0"),
  );
  if (!numbersParse || (firstValue(query, "labelSelector") ?? "") !== "") return undefined;
  const name = pinnedField(firstValue(query, "fieldSelector") ?? "", "metadata.name");
  // IsPathSegmentName: what could not stand in a path is not taken for a name.
  return name === undefined || name === "." || name === ".." || /[/%]/.test(name) ? undefined : name;
}

/** Go's `strings.Trim(path, "/")`, then split. By hand: the regular expression for it is quadratic in the slashes. */
function splitPath(path: string): readonly string[] {
  let start = 0;
  let end = path.length;
  while (path[start] === "/") start++;
  while (end > start && path[end - 1] === "/") end--;
  return start === end ? [] : path.slice(start, end).split("/");
}
