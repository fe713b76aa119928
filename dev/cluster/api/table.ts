import { printerOf } from "./columns.ts";
import type { KubeObject } from "./objects.ts";
import { apiVersionOf, type ResourceInfo } from "./resources.ts";

/**
 * The representation of objects: as they are, or as rows of a `meta.k8s.io/v1` Table, which `kubectl get`
 * requests.
 */
export type Representation =
  | { readonly form: "objects" }
  | { readonly form: "table"; readonly include: "None" | "Metadata" | "Object" };

/** Reads the Accept header and `includeObject`. Only the v1 Table is served. */
export function negotiate(accept: string, includeObject: string | null): Representation {
  const wantsTable = accept
    .split(",")
    .some((type) => type.includes("as=Table") && type.includes("g=meta.k8s.io") && /v=v1(;|$)/.test(type.trim()));
  if (!wantsTable) return { form: "objects" };
  const include = includeObject === "None" || includeObject === "Object" ? includeObject : "Metadata";
  return { form: "table", include };
}

/** Renders a single object, or that of a watch event. */
export function presentOne(info: ResourceInfo, object: KubeObject, how: Representation): object {
  if (how.form === "objects") return object;
  return table(info, [object], how.include, object.metadata.resourceVersion);
}

/** Renders a list. */
export function presentList(
  info: ResourceInfo,
  objects: readonly KubeObject[],
  how: Representation,
  revision: number,
): object {
  if (how.form === "table") return table(info, objects, how.include, String(revision));
  return {
    kind: `${info.kind}List`,
    apiVersion: apiVersionOf(info),
    metadata: { resourceVersion: String(revision) },
    items: objects,
  };
}

function table(
  info: ResourceInfo,
  objects: readonly KubeObject[],
  include: "None" | "Metadata" | "Object",
  resourceVersion: string,
): object {
  const printer = printerOf(info.resource);
  const now = Date.now();
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion },
    columnDefinitions: printer.columns.map(({ name, type, format, priority, description }) => {
      return { name, type: type ?? "string", format: format ?? "", description, priority: priority ?? 0 };
    }),
    rows: objects.map((object) => ({
      cells: printer.cells(object, now),
      ...(include === "None" ? {} : { object: include === "Object" ? object : partial(object) }),
    })),
  };
}

const partial = ({ metadata }: KubeObject): object => ({
  kind: "PartialObjectMetadata",
  apiVersion: "meta.k8s.io/v1",
  metadata,
});
