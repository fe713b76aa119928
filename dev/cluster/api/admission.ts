import { randomBytes } from "node:crypto";
import { z } from "zod";
import {
  type KubeObject,
  metadataSchema,
  type PodSpec,
  podSpecSchema,
  serviceSpecSchema,
  workloadSpecSchema,
} from "./objects.ts";
import { apiVersionOf, type ResourceInfo } from "./resources.ts";
import { sameJson } from "./same-json.ts";
import { badRequest, invalid } from "./status.ts";
import type { NewObject } from "./storage.ts";

// Names become folder names and host names here, so this check is needed.
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
// RBAC's names are path segments, such as `system:masters`.
const PATH_SEGMENT_GROUPS = ["rbac.authorization.k8s.io"];
const MAX_NAME_LENGTH = 253;
const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

const objectSchema = z.looseObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  metadata: metadataSchema,
});

export type ParsedObject = z.infer<typeof objectSchema>;

const SPEC_SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  pods: podSpecSchema,
  services: serviceSpecSchema,
  deployments: workloadSpecSchema,
  replicasets: workloadSpecSchema,
};

/** Validates a body sent for creation and adds defaults. Throws 400 or 422 as the API server does. */
export function admitNew(info: ResourceInfo, namespace: string, body: unknown): NewObject {
  const object = parseObject(info, body);
  const { generateName, ...metadata } = object.metadata;
  const name = metadata.name ?? (generateName === undefined ? "" : `${generateName}${randomSuffix(5)}`);
  checkName(info, name);
  if (metadata.namespace !== undefined && info.namespaced && metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  const admitted = withSpec(info, name, object);
  checkSize(info, name, admitted);
  if (info.resource === "pods") checkNewPod(name, admitted["spec"] as PodSpec);
  return {
    ...admitted,
    apiVersion: apiVersionOf(info),
    kind: info.kind,
    metadata: { ...withoutEmpty(metadata), name, ...(info.namespaced ? { namespace } : {}) },
    ...initialStatus(info),
  };
}

/**
 * Validates a body that replaces `current`. What the server owns (identity, status) is taken from `current`.
 */
export function admitUpdate(info: ResourceInfo, current: KubeObject, body: unknown): KubeObject {
  const object = parseUpdate(info, current, body);
  const { name, namespace, uid, creationTimestamp, deletionTimestamp } = current.metadata;
  const { status: _status, ...rest } = withSpec(info, name, object);
  checkSize(info, name, rest);
  if (info.resource === "pods") checkPodUpdate(current, rest);
  return {
    ...rest,
    ...("status" in current ? { status: current["status"] } : {}),
    apiVersion: apiVersionOf(info),
    kind: info.kind,
    metadata: {
      ...withoutEmpty(object.metadata),
      ...{ name, uid, creationTimestamp, resourceVersion: sentVersion(object) },
      ...(namespace === undefined ? {} : { namespace }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    },
  };
}

/** Reads a body that replaces `current`. Throws 400 if it is of another kind or name. */
export function parseUpdate(info: ResourceInfo, current: KubeObject, body: unknown): ParsedObject {
  const object = parseObject(info, body);
  const { name } = current.metadata;
  if (object.metadata.name !== name) {
    throw badRequest(`the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`);
  }
  return object;
}

/** @returns the version that the client intends to change; "" for any */
export function sentVersion({ metadata }: ParsedObject): string {
  const sent = metadata["resourceVersion"];
  return typeof sent === "string" ? sent : "";
}

function parseObject(info: ResourceInfo, body: unknown): ParsedObject {
  const parsed = objectSchema.safeParse(body);
  if (!parsed.success)
    throw badRequest(`${info.kind} in version "${info.version}" cannot be handled as a ${info.kind}`);
  const { apiVersion, kind } = parsed.data;
  if ((kind ?? info.kind) !== info.kind || (apiVersion ?? apiVersionOf(info)) !== apiVersionOf(info)) {
    throw badRequest(
      `${kind ?? ""} in version "${apiVersion ?? ""}" cannot be handled as a ${info.kind}: ` +
        `no kind "${kind ?? ""}" is registered for version "${apiVersionOf(info)}"`,
    );
  }
  return parsed.data;
}

function withSpec(info: ResourceInfo, name: string, object: ParsedObject): Record<string, unknown> {
  if (info.resource === "secrets") return withSecretData(object);
  const schema = SPEC_SCHEMAS[info.resource];
  if (schema === undefined) return object;
  const spec = schema.safeParse(object["spec"] ?? {});
  if (!spec.success) throw invalid(info.kind, name, specFaults(spec.error), info.group);
  return { ...object, spec: info.resource === "services" ? withClusterIp(spec.data) : spec.data };
}

/** @returns the errors of a spec, by field */
export function specFaults({ issues }: z.ZodError): { field: string; message: string }[] {
  return issues.map(({ path, message }) => ({
    field: path.reduce<string>(
      (at, step) => `${at}${typeof step === "number" ? `[${step}]` : `.${String(step)}`}`,
      "spec",
    ),
    message: message.endsWith("received undefined") ? "Required value" : message,
  }));
}

// Services have an address on a real cluster. Here it is only shown, since nothing routes to it.
function withClusterIp(spec: unknown): object {
  const { clusterIP, ...rest } = serviceSpecSchema.parse(spec);
  const [third = 0, fourth = 0] = randomBytes(2);
  return { ...rest, clusterIP: clusterIP || `10.96.${third}.${fourth}` };
}

/** `MaxSecretSize` of core/v1, for ConfigMaps too, and `TotalAnnotationSizeLimitB` of apimachinery. */
const MAX_DATA_BYTES = 1024 * 1024;
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

/**
 * Throws 422 for data or annotations that the API server does not store. `kubectl apply` adds an annotation.
 */
function checkSize(info: ResourceInfo, name: string, { data, binaryData, metadata }: Record<string, unknown>): void {
  const isBase64 = info.resource === "secrets";
  const bytes = sizeOf(data, isBase64) + sizeOf(binaryData, true);
  const { annotations } = Object(metadata) as { annotations?: unknown };
  const tooLong = (field: string, max: number) =>
    invalid(info.kind, name, [{ field, message: `Too long: must have at most ${max} bytes` }], info.group);
  if (["configmaps", "secrets"].includes(info.resource) && bytes > MAX_DATA_BYTES) {
    throw tooLong(isBase64 ? "data" : "[]", MAX_DATA_BYTES);
  }
  const keysAndValues = Object.entries(Object(annotations)).flat();
  if (sizeOf(keysAndValues, false) > MAX_ANNOTATIONS_BYTES)
    throw tooLong("metadata.annotations", MAX_ANNOTATIONS_BYTES);
}

function sizeOf(texts: unknown, isBase64: boolean): number {
  return Object.values(Object(texts))
    .map((text) => Buffer.byteLength(String(text), isBase64 ? "base64" : "utf8"))
    .reduce((sum, bytes) => sum + bytes, 0);
}

// `stringData` is encoded into `data`, which alone is stored.
function withSecretData(object: Record<string, unknown>): Record<string, unknown> {
  const { stringData, ...rest } = object;
  const given = z.record(z.string(), z.string()).safeParse(stringData ?? {});
  if (!given.success) throw badRequest("stringData is a map of strings");
  const encoded = Object.entries(given.data).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  const data = { ...(rest["data"] as Record<string, unknown> | undefined), ...Object.fromEntries(encoded) };
  return { ...rest, data, type: rest["type"] ?? "Opaque" };
}

// Only added later through their subresource, which has a permission of its own.
function checkNewPod(name: string, { ephemeralContainers = [] }: PodSpec): void {
  if (ephemeralContainers.length === 0) return;
  throw invalid("Pod", name, [{ field: "spec.ephemeralContainers", message: "Forbidden: cannot be set on create" }]);
}

function checkPodUpdate(current: KubeObject, next: Record<string, unknown>): void {
  // Only images, tolerations and deadlines of a pod's spec may change, and none of them has an effect here.
  if (sameJson(current["spec"], next["spec"])) return;
  const message =
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
  throw invalid("Pod", current.metadata.name, [{ field: "spec", message }]);
}

function checkName(info: ResourceInfo, name: string): void {
  if (name === "") {
    throw invalid(
      info.kind,
      "",
      [{ field: "metadata.name", message: "Required value: name or generateName is required" }],
      info.group,
    );
  }
  const isSegment = PATH_SEGMENT_GROUPS.includes(info.group);
  const valid = isSegment ? !/[/%]/.test(name) && name !== "." && name !== ".." : DNS_SUBDOMAIN.test(name);
  if (valid && name.length <= MAX_NAME_LENGTH) return;
  const rule = isSegment ? "may not contain '/' or '%'" : SUBDOMAIN_RULE;
  throw invalid(
    info.kind,
    name,
    [{ field: "metadata.name", message: `Invalid value: "${name}": ${rule}` }],
    info.group,
  );
}

function initialStatus(info: ResourceInfo): Record<string, unknown> {
  switch (info.resource) {
    case "pods":
      return { status: { phase: "Pending", qosClass: "BestEffort" } };
    case "namespaces":
      return { spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };
    case "deployments":
    case "replicasets":
      return { status: {} };
    case "services":
      return { status: { loadBalancer: {} } };
    default:
      return {};
  }
}

const withoutEmpty = (metadata: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null && value !== undefined));

/** Letters and digits of generated names. No vowels, so that they form no words. */
export function randomSuffix(length: number): string {
  return Array.from(randomBytes(length), (byte) => SUFFIX_LETTERS[byte % SUFFIX_LETTERS.length]).join("");
}
