import { apiVersionOf, RESOURCES, type ResourceInfo } from "./resources.ts";
import { unknownPath } from "./status.ts";

/**
 * Discovery in both forms: a document per group version, and the aggregated lists (KEP-3352) that kubectl
 * requests first.
 */

const AGGREGATED = "apidiscovery.k8s.io/v2";
export const AGGREGATED_MEDIA_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const groups = (): string[] => [...new Set(RESOURCES.map(({ group }) => group))].filter((group) => group !== "");
const versionOf = (group: string): string => RESOURCES.find((info) => info.group === group)?.version ?? "v1";
const inGroup = (group: string): ResourceInfo[] => RESOURCES.filter((info) => info.group === group);

/**
 * @returns whether the client accepts the aggregated form: a media type with these parameters, in any order
 */
export function acceptsAggregated(accept: string): boolean {
  return accept
    .split(",")
    .some((type) => (type.includes("as=APIGroupDiscoveryList") && type.includes("v=v2;")) || type.endsWith("v=v2"));
}

/** The aggregated document of /api (`core`) or /apis. */
export function aggregatedDiscovery(core: boolean): object {
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: AGGREGATED,
    metadata: {},
    items: (core ? [""] : groups()).map((group) => ({
      metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
      versions: [
        { version: versionOf(group), resources: inGroup(group).map(aggregatedResource), freshness: "Current" },
      ],
    })),
  };
}

function aggregatedResource(info: ResourceInfo): object {
  const kindOf = (kind: string): object => ({ group: info.group, version: info.version, kind });
  return {
    resource: info.resource,
    responseKind: kindOf(info.kind),
    scope: info.namespaced ? "Namespaced" : "Cluster",
    singularResource: info.singular,
    verbs: info.verbs,
    shortNames: info.shortNames,
    categories: info.categories,
    subresources: info.subresources.map(({ name, kind, verbs }) => ({
      subresource: name,
      responseKind: kindOf(kind),
      verbs,
    })),
  };
}

/**
 * @returns the document at /api, /apis, /api/v1, /apis/{group} or /apis/{group}/{version}; throws 404 for
 *   others
 */
export function legacyDiscovery(path: string): object {
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: groups().map(groupOf) };
  const [, root, group = "", version] = path.split("/");
  if (root === "api" && group === "v1" && version === undefined) return resourceList("");
  if (root === "apis" && groups().includes(group)) {
    if (version === undefined) return { kind: "APIGroup", apiVersion: "v1", ...groupOf(group) };
    if (version === versionOf(group)) return resourceList(group);
  }
  throw unknownPath();
}

function groupOf(group: string): object {
  const version = { groupVersion: `${group}/${versionOf(group)}`, version: versionOf(group) };
  return { name: group, versions: [version], preferredVersion: version };
}

function resourceList(group: string): object {
  const version = versionOf(group);
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group === "" ? version : `${group}/${version}`,
    resources: inGroup(group).flatMap((info) => [
      {
        name: info.resource,
        singularName: info.singular,
        namespaced: info.namespaced,
        kind: info.kind,
        verbs: info.verbs,
        ...(info.shortNames.length > 0 ? { shortNames: info.shortNames } : {}),
        ...(info.categories.length > 0 ? { categories: info.categories } : {}),
      },
      ...info.subresources.map(({ name, kind, verbs }) => ({
        name: `${info.resource}/${name}`,
        singularName: "",
        namespaced: info.namespaced,
        kind,
        verbs,
      })),
    ]),
  };
}

/**
 * OpenAPI v3 as far as kubectl needs it: the group versions (`/openapi/v3`), and for each the PATCH
 * operations with the `fieldValidation` parameter. From it `kubectl apply` learns that the server validates.
 * `/openapi/v2` is not served, because kubectl works without it.
 */
export function openapiV3(path: string): object {
  const documents = new Map(
    ["", ...groups()].map((group) => [group === "" ? "api/v1" : `apis/${group}/${versionOf(group)}`, inGroup(group)]),
  );
  const name = path.replace(/^\/openapi\/v3\/?/, "");
  if (name === "") {
    const paths = [...documents.keys()].map((key) => [key, { serverRelativeURL: `/openapi/v3/${key}` }]);
    return { paths: Object.fromEntries(paths) };
  }
  const infos = documents.get(name);
  if (infos === undefined) throw unknownPath();
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "unversioned" },
    components: { schemas: {} },
    paths: Object.fromEntries(infos.filter(({ verbs }) => verbs.includes("patch")).map(patchOperation)),
  };
}

function patchOperation(info: ResourceInfo): [string, object] {
  const root = info.group === "" ? "/api/v1" : `/apis/${apiVersionOf(info)}`;
  const path = `${root}/${info.namespaced ? "namespaces/{namespace}/" : ""}${info.resource}/{name}`;
  const patch = {
    description: `partially update the specified ${info.kind}`,
    parameters: [{ name: "fieldValidation", in: "query", schema: { type: "string", uniqueItems: true } }],
    responses: { "200": { description: "OK" } },
    "x-kubernetes-action": "patch",
    "x-kubernetes-group-version-kind": { group: info.group, version: info.version, kind: info.kind },
  };
  return [path, { patch }];
}
