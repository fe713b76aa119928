/**
 * Reads what a body asks for in pods: images, privileges, the host's namespaces, the service account. Pure.
 */
import { load, YAML11_SCHEMA } from "js-yaml";
import {
  HOST_NAMESPACES,
  type HostNamespace,
  POD_FACTS_LIMITS as limits,
  type PodFacts,
  type UnreadReason,
} from "../../audit/pod-facts.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { maskControlCharacters } from "../../common/text.ts";

/** Larger bodies are not read. */
export const MAX_READ_BYTES = 256 * 1024;

/** Manifests have a dozen levels, and no aliases to speak of. */
const YAML_BOUNDS = { maxDepth: 100, maxAliases: 1_000, maxTotalMergeKeys: 1_000 };

type Format = "json" | "json-patch" | "yaml";

const FORMATS: Readonly<Record<string, Format>> = {
  // The API server's default.
  "": "json",
  "application/json": "json",
  "application/merge-patch+json": "json",
  "application/strategic-merge-patch+json": "json",
  "application/json-patch+json": "json-patch",
  "application/yaml": "yaml",
  "application/apply-patch+yaml": "yaml",
};

/**
 * Whether the format is one that is not read.
 *
 * @param contentType the header, or null
 */
export function unreadFormat(contentType: string | null): UnreadReason | undefined {
  const type = mediaType(contentType);
  if (Object.hasOwn(FORMATS, type)) return undefined;
  if (type.includes("protobuf")) return "protobuf";
  return type.includes("cbor") ? "cbor" : "content_type";
}

/**
 * Reads a whole body: an object of any kind that has pods, or a patch of one.
 *
 * @param bytes at most `MAX_READ_BYTES`
 * @param contentType the header, or null
 */
export function podFacts(bytes: Uint8Array, contentType: string | null): PodFacts {
  const unread = unreadFormat(contentType) ?? (bytes.byteLength > MAX_READ_BYTES ? "too_large" : undefined);
  if (unread !== undefined) return { unread };
  // Go's JSON reader takes no byte order mark either.
  const text = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);
  const format = FORMATS[mediaType(contentType)];
  const read = format === "yaml" ? parseYaml(text) : parseJson(text);
  if (!read.ok) return { unread: read.error };
  if (format !== "json-patch") return factsOf([read.value]);
  const values = patchedValues(read.value);
  return values === undefined ? { unread: "ambiguous" } : factsOf(values);
}

function mediaType(contentType: string | null): string {
  return (contentType?.split(";")[0] ?? "").trim().toLowerCase();
}

function parseJson(text: string): Result<unknown, UnreadReason> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err("invalid");
  }
  return hasRepeatedKey(text, value) ? err("ambiguous") : ok(value);
}

/**
 * `JSON.parse` takes the last of two equal keys, Go merges both into one object: with two `spec`, the first
 * could have what the second hides.
 *
 * @param text JSON that has been parsed to this value
 */
function hasRepeatedKey(text: string, value: unknown): boolean {
  let written = 0;
  for (const [, colon] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/gs)) if (colon !== undefined) written++;
  let kept = 0;
  const due: unknown[] = [value];
  while (due.length > 0) {
    const next = due.pop();
    if (typeof next !== "object" || next === null) continue;
    const children = Object.values(next);
    if (!Array.isArray(next)) kept += children.length;
    for (const child of children) due.push(child);
  }
  return written !== kept;
}

/** kubectl sends JSON as YAML, which is the faster way. The API server reads YAML 1.1: `yes` is true. */
function parseYaml(text: string): Result<unknown, UnreadReason> {
  const asJson = parseJson(text);
  if (asJson.ok || asJson.error === "ambiguous") return asJson;
  // A directive may select another version.
  if (/^%/m.test(text)) return err("ambiguous");
  try {
    return ok(load(text, { schema: YAML11_SCHEMA, ...YAML_BOUNDS }));
  } catch {
    return err("invalid");
  }
}

/**
 * What a JSON patch (RFC 6902) puts in, each value at its place in an otherwise empty object.
 *
 * @returns undefined where it copies or moves what is not in the patch, or is none
 */
function patchedValues(patch: unknown): unknown[] | undefined {
  if (!Array.isArray(patch)) return undefined;
  const values: unknown[] = [];
  for (const operation of patch) {
    const op = memberOf(operation, "op");
    if (op === "test" || op === "remove") continue;
    const path = memberOf(operation, "path");
    if ((op !== "add" && op !== "replace") || typeof path !== "string") return undefined;
    const keys = path.split("/", MAX_POINTER_DEPTH).slice(1);
    let value = memberOf(operation, "value");
    for (const key of keys.reverse()) value = { [key.replaceAll("~1", "/").replaceAll("~0", "~")]: value };
    values.push(value);
  }
  return values;
}

/** Deeper than any field that is read. */
const MAX_POINTER_DEPTH = 32;

/** Where kinds have their pod spec: Pod; Deployment and others; CronJob; PodTemplate. */
const POD_SPECS: readonly (readonly string[])[] = [
  ["spec"],
  ["spec", "template", "spec"],
  ["spec", "jobTemplate", "spec", "template", "spec"],
  ["template", "spec"],
];
const CONTAINER_LISTS = ["containers", "initContainers", "ephemeralContainers"];
const HOST_FIELDS: Readonly<Record<HostNamespace, string>> = { network: "hostNetwork", pid: "hostPID", ipc: "hostIPC" };

function factsOf(values: readonly unknown[]): PodFacts {
  const specs = values.flatMap((value) => POD_SPECS.map((path) => path.reduce(memberOf, value)));
  // A JSON patch of one container has an object in place of the list.
  const containers = specs.flatMap((spec) => CONTAINER_LISTS.flatMap((list) => childrenOf(memberOf(spec, list))));
  const images = new Set(containers.map((container) => memberOf(container, "image")).filter(isText));
  const contexts = [...specs, ...containers].map((one) => memberOf(one, "securityContext"));
  const accounts = specs.flatMap(
    (spec) =>
      // The API server takes the second, an old alias, where the first is empty.
      ["serviceAccountName", "serviceAccount"].map((key) => memberOf(spec, key)).find(isText) ?? [],
  );
  return {
    images: [...images].slice(0, limits.images).map((image) => maskControlCharacters(image, limits.imageChars)),
    more_images: Math.max(0, images.size - limits.images),
    privileged: contexts.some(
      (context) =>
        memberOf(context, "privileged") === true ||
        memberOf(memberOf(context, "windowsOptions"), "hostProcess") === true,
    ),
    host_namespaces: HOST_NAMESPACES.filter((name) => specs.some((spec) => memberOf(spec, HOST_FIELDS[name]) === true)),
    service_account: accounts[0] === undefined ? null : maskControlCharacters(accounts[0], limits.nameChars),
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function childrenOf(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}

/** An own member: what a body calls `__proto__` is no prototype. */
function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
}
