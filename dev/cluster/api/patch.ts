import { badRequest, unsupportedMediaType } from "./status.ts";

/** Server-side apply is not a patch in this sense, see apply.ts. */
export const APPLY_MEDIA_TYPE = "application/apply-patch+yaml";

export const mediaTypeOf = (contentType: string): string => contentType.split(";")[0]?.trim() ?? "";

/**
 * Applies a PATCH body to a JSON value. Does not modify its arguments; the result may share parts with them.
 */
export function applyPatch(contentType: string, target: unknown, patch: unknown): unknown {
  switch (mediaTypeOf(contentType)) {
    case "application/merge-patch+json":
      return mergePatch(target, patch);
    case "application/strategic-merge-patch+json":
      return strategicMerge(target, patch, "");
    case "application/json-patch+json":
      return jsonPatch(target, patch);
    default:
      throw unsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " +
          "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, " +
          "application/strategic-merge-patch+json",
      );
  }
}

type JsonRecord = Record<string, unknown>;

const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Copies an object without ever setting `__proto__`, because keys come from clients. */
function withEntry(record: JsonRecord, key: string, value: unknown): JsonRecord {
  return Object.fromEntries([...Object.entries(record).filter(([existing]) => existing !== key), [key, value]]);
}

function without(record: JsonRecord, key: string): JsonRecord {
  return Object.fromEntries(Object.entries(record).filter(([existing]) => existing !== key));
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  let result: JsonRecord = isRecord(target) ? target : {};
  for (const [key, value] of Object.entries(patch)) {
    result = value === null ? without(result, key) : withEntry(result, key, mergePatch(own(result, key), value));
  }
  return result;
}

const own = (record: JsonRecord, key: string): unknown => (Object.hasOwn(record, key) ? record[key] : undefined);

// Lists that are merged by a key of their items (`patchMergeKey` in the API types). All others are replaced.
const MERGE_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  ephemeralContainers: ["name"],
  env: ["name"],
  volumes: ["name"],
  volumeMounts: ["mountPath"],
  imagePullSecrets: ["name"],
  ports: ["containerPort", "port"],
  conditions: ["type"],
  ownerReferences: ["uid"],
  secrets: ["name"],
};

/**
 * Strategic merge patch with the directives that kubectl writes (`$patch`, `$retainKeys`,
 * `$deleteFromPrimitiveList`).
 */
function strategicMerge(target: unknown, patch: unknown, field: string): unknown {
  if (Array.isArray(patch)) return mergeList(Array.isArray(target) ? target : [], patch, field);
  if (!isRecord(patch)) return patch;
  if (patch["$patch"] === "replace") return without(patch, "$patch");
  if (patch["$patch"] === "delete") return {};
  let result: JsonRecord = isRecord(target) ? target : {};
  const retained = patch["$retainKeys"];
  if (Array.isArray(retained)) {
    result = Object.fromEntries(Object.entries(result).filter(([key]) => retained.includes(key)));
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key === "$retainKeys" || key.startsWith("$setElementOrder/")) continue;
    const primitiveList = /^\$deleteFromPrimitiveList\/(.+)$/.exec(key)?.[1];
    if (primitiveList !== undefined) {
      const current = own(result, primitiveList);
      const gone: unknown[] = Array.isArray(value) ? value : [];
      result = withEntry(
        result,
        primitiveList,
        Array.isArray(current) ? current.filter((item) => !gone.includes(item)) : [],
      );
    } else {
      result =
        value === null ? without(result, key) : withEntry(result, key, strategicMerge(own(result, key), value, key));
    }
  }
  return result;
}

function mergeList(target: readonly unknown[], patch: readonly unknown[], field: string): unknown[] {
  if (field === "finalizers") return [...new Set([...target, ...patch])];
  const records = patch.filter(isRecord);
  const key = MERGE_KEYS[field]?.find((candidate) => records.some((item) => Object.hasOwn(item, candidate)));
  if (key === undefined || records.length < patch.length) return [...patch];
  if (records.some((item) => item["$patch"] === "replace"))
    return records.filter((item) => item["$patch"] !== "replace");
  const result = target.filter(isRecord);
  for (const item of records) {
    const at = result.findIndex((candidate) => candidate[key] === item[key]);
    if (item["$patch"] === "delete") result.splice(at, at === -1 ? 0 : 1);
    else if (at === -1) result.push(item);
    else result[at] = strategicMerge(result[at], item, "") as JsonRecord;
  }
  return result;
}

/** RFC 6902. */
function jsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw badRequest("a JSON patch is a list of operations");
  let result = target;
  for (const operation of patch) {
    if (!isRecord(operation) || typeof operation["path"] !== "string") throw badRequest("invalid JSON patch operation");
    const path = pointer(operation["path"]);
    const from = typeof operation["from"] === "string" ? pointer(operation["from"]) : [];
    switch (operation["op"]) {
      case "add":
        result = edit(result, path, () => operation["value"], "insert");
        break;
      case "replace":
        result = edit(result, path, () => operation["value"], "set");
        break;
      case "remove":
        result = edit(result, path, () => undefined, "remove");
        break;
      case "copy":
        result = edit(result, path, (whole) => at(whole, from), "insert");
        break;
      case "move": {
        const moved = at(result, from);
        result = edit(
          edit(result, from, () => undefined, "remove"),
          path,
          () => moved,
          "insert",
        );
        break;
      }
      case "test":
        if (JSON.stringify(at(result, path)) !== JSON.stringify(operation["value"])) {
          throw badRequest(`testing value ${operation["path"]} failed`);
        }
        break;
      default:
        throw badRequest("unknown JSON patch operation");
    }
  }
  return result;
}

const pointer = (path: string): string[] =>
  path
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((current, step) => {
    if (Array.isArray(current)) return current[Number(step)];
    return isRecord(current) ? own(current, step) : undefined;
  }, value);
}

function edit(
  value: unknown,
  [step, ...rest]: readonly string[],
  make: (whole: unknown) => unknown,
  how: "insert" | "set" | "remove",
  whole: unknown = value,
): unknown {
  if (step === undefined) return make(whole);
  if (Array.isArray(value)) {
    const index = step === "-" ? value.length : Number(step);
    if (!Number.isInteger(index) || index < 0 || index > value.length) throw badRequest(`invalid index ${step}`);
    if (rest.length > 0) return value.with(index, edit(value[index], rest, make, how, whole));
    return value.toSpliced(index, how === "insert" ? 0 : 1, ...(how === "remove" ? [] : [make(whole)]));
  }
  if (!isRecord(value)) throw badRequest(`path step ${step} does not exist`);
  if (rest.length > 0) return withEntry(value, step, edit(own(value, step), rest, make, how, whole));
  if (how !== "insert" && !Object.hasOwn(value, step)) throw badRequest(`path step ${step} does not exist`);
  return how === "remove" ? without(value, step) : withEntry(value, step, make(whole));
}
