/** The attributes of a request for authorization and audit. Follows apiserver's requestinfo.go. */
export type RequestInfo = ResourceRequest | PathRequest;

export interface ResourceRequest {
  readonly isResource: true;
  readonly path: string;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
}

export interface PathRequest {
  readonly isResource: false;
  readonly path: string;
  readonly verb: string;
}

const VERBS: Readonly<Record<string, string>> = {
  GET: "get",
  HEAD: "get",
  POST: "create",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
// Under a namespace's path these are parts of the namespace object, not resources in it.
const NAMESPACE_SUBRESOURCES = ["status", "finalize"];

/** @param path percent-DECODED, since that is what the API server routes on */
export function requestInfo(method: string, path: string, query: URLSearchParams): RequestInfo {
  const parts = path.split("/").filter((part) => part !== "");
  const verb = VERBS[method] ?? method.toLowerCase();
  const groupParts = parts[0] === "apis" ? 3 : 2;
  if ((parts[0] !== "api" && parts[0] !== "apis") || parts.length <= groupParts)
    return { isResource: false, path, verb };

  const group = parts[0] === "apis" ? (parts[1] ?? "") : "";
  const version = parts[groupParts - 1] ?? "";
  let rest = parts.slice(groupParts);
  // The deprecated form /api/v1/watch/...: the prefix is the verb.
  const isOldWatch = rest[0] === "watch" && rest.length > 1;
  if (isOldWatch) rest = rest.slice(1);

  let namespace = "";
  if (rest[0] === "namespaces" && rest[1] !== undefined) {
    namespace = rest[1];
    if (rest[2] !== undefined && !NAMESPACE_SUBRESOURCES.includes(rest[2])) rest = rest.slice(2);
  }
  const [resource = "", name = "", subresource = ""] = rest;
  const request = { isResource: true, path, group, version, namespace, resource, subresource } as const;
  const refined = isOldWatch ? "watch" : refineVerb(verb, name, query);
  return { ...request, verb: refined, name: name === "" && refined !== "create" ? selectedName(query) : name };
}

function refineVerb(verb: string, name: string, query: URLSearchParams): string {
  if (name !== "") return verb;
  if (verb === "delete") return "deletecollection";
  if (verb !== "get") return verb;
  return isTrue(query.get("watch")) ? "watch" : "list";
}

// A list or watch of `metadata.name=x` counts as one of x.
function selectedName(query: URLSearchParams): string {
  return /^metadata\.name==?([^,=]+)$/.exec(query.get("fieldSelector") ?? "")?.[1] ?? "";
}

/** A boolean query parameter as apimachinery's conversion reads it: present and neither `false` nor `0`. */
export function isTrue(value: string | null): boolean {
  return value !== null && value.toLowerCase() !== "false" && value !== "0";
}
