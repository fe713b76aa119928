/**
 * The fields of an object as server-side apply counts them (structured-merge-diff): its leaves, the items of
 * lists that are merged by keys, and lists and maps that are replaced as a whole. Paths are written as in
 * FieldsV1.
 */
type JsonRecord = Record<string, unknown>;

export interface Field {
  /** `f:name`, `k:{"key":"value"}` or `v:"value"`, from the object down. */
  readonly steps: readonly string[];
  /** The value of a leaf; undefined for a list's item. */
  readonly value?: unknown;
}

/** Keyed by the JSON of the steps. */
export type FieldSet = ReadonlyMap<string, Field>;

// `x-kubernetes-list-map-keys` of the types; "ports" are a container's or a Service's.
const LIST_KEYS: Readonly<Record<string, readonly string[]>> = {
  containers: ["name"],
  initContainers: ["name"],
  ephemeralContainers: ["name"],
  env: ["name"],
  volumes: ["name"],
  volumeMounts: ["mountPath"],
  imagePullSecrets: ["name"],
  ownerReferences: ["uid"],
  secrets: ["name"],
};
const PORT_KEYS = { container: ["containerPort", "protocol"], service: ["port", "protocol"] } as const;
const KEY_DEFAULTS: JsonRecord = { protocol: "TCP" };
const SET_LISTS = ["finalizers"];
// `x-kubernetes-map-type: atomic`.
const ATOMIC_MAPS = ["configMapKeyRef", "fieldRef", "nodeSelector", "roleRef", "secretKeyRef", "selector"];
// The parts of metadata that clients set.
const IDENTITY = ["name", "namespace"];
const METADATA = ["annotations", "finalizers", "labels", "ownerReferences"];

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const keyOf = (steps: readonly string[]): string => JSON.stringify(steps);

/** @returns whether this is a map whose entries are merged one by one */
export const isGranular = (value: unknown, steps: readonly string[]): value is JsonRecord =>
  isRecord(value) && !ATOMIC_MAPS.includes(fieldName(steps));

const fieldName = (steps: readonly string[]): string => steps.at(-1)?.slice(2) ?? "";

/** @returns the steps to a list's items; undefined if the list is replaced as a whole */
export function itemSteps(list: readonly unknown[], steps: readonly string[]): string[] | undefined {
  const field = fieldName(steps);
  if (SET_LISTS.includes(field)) return list.map((item) => `v:${JSON.stringify(item)}`);
  const isContainerPort = list.some((item) => isRecord(item) && Object.hasOwn(item, "containerPort"));
  const keys = field === "ports" ? PORT_KEYS[isContainerPort ? "container" : "service"] : LIST_KEYS[field];
  if (keys === undefined || !list.every(isRecord)) return undefined;
  return list.map((item) => {
    const pairs = keys.map((key) => [key, item[key] ?? KEY_DEFAULTS[key]]);
    return `k:${JSON.stringify(Object.fromEntries(pairs))}`;
  });
}

/** @returns the parts of an object that managers may own, and its name; controllers own its status */
export function ownable({ status: _status, ...object }: JsonRecord): JsonRecord {
  const metadata = Object.entries(isRecord(object["metadata"]) ? object["metadata"] : {});
  const kept = metadata.filter(([key, value]) => value !== null && [...IDENTITY, ...METADATA].includes(key));
  return { ...object, metadata: Object.fromEntries(kept) };
}

/** @returns the fields of an object that managers may own */
export function fieldsOf(object: JsonRecord): FieldSet {
  const { apiVersion: _apiVersion, kind: _kind, metadata, ...rest } = ownable(object);
  const own = Object.entries(metadata as JsonRecord).filter(([key]) => !IDENTITY.includes(key));
  const fields = new Map<string, Field>();
  const add = (steps: readonly string[], value?: unknown): void => {
    fields.set(keyOf(steps), { steps, value });
  };
  const walk = (value: unknown, steps: readonly string[]): void => {
    if (isGranular(value, steps)) {
      if (Object.keys(value).length === 0) add(steps, value);
      for (const [key, item] of Object.entries(value)) walk(item, [...steps, `f:${key}`]);
      return;
    }
    const items = Array.isArray(value) && value.length > 0 ? itemSteps(value, steps) : undefined;
    if (items === undefined || !Array.isArray(value)) {
      add(steps, value);
      return;
    }
    items.forEach((step, index) => {
      add([...steps, step]);
      if (isRecord(value[index])) walk(value[index], [...steps, step]);
    });
  };
  for (const [key, value] of Object.entries(rest)) walk(value, [`f:${key}`]);
  for (const [key, value] of own) walk(value, ["f:metadata", `f:${key}`]);
  return fields;
}

/** Encodes a set for `managedFields`: a tree, with "." for an item itself. */
export function encodeFields(fields: FieldSet): JsonRecord {
  type Tree = Map<string, Tree>;
  const tree: Tree = new Map();
  for (const { steps } of fields.values()) {
    let at = tree;
    for (const step of steps) {
      const next: Tree = at.get(step) ?? new Map();
      at.set(step, next);
      at = next;
    }
    if (!steps.at(-1)?.startsWith("f:")) at.set(".", new Map());
  }
  const json = (node: Tree): JsonRecord => Object.fromEntries([...node].map(([step, next]) => [step, json(next)]));
  return json(tree);
}

/** Decodes what {@link encodeFields} writes. It has no values. */
export function decodeFields(encoded: unknown): FieldSet {
  const fields = new Map<string, Field>();
  const walk = (node: unknown, steps: readonly string[]): void => {
    if (!isRecord(node)) return;
    const entries = Object.entries(node);
    if (entries.length === 0) fields.set(keyOf(steps), { steps });
    for (const [step, next] of entries) walk(next, step === "." ? steps : [...steps, step]);
  };
  walk(encoded, []);
  return fields;
}

/** Formats a path as messages do: `.spec.template.spec.containers[name="web"].image`. */
export function printPath(steps: readonly string[]): string {
  return steps
    .map((step) => {
      if (step.startsWith("f:")) return `.${step.slice(2)}`;
      if (step.startsWith("v:")) return `[=${step.slice(2)}]`;
      const keys = Object.entries(JSON.parse(step.slice(2)) as JsonRecord);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");
}
