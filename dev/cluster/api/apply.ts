/** Field ownership (`metadata.managedFields`), and server-side apply, which uses it. */
import {
  decodeFields,
  encodeFields,
  type Field,
  type FieldSet,
  fieldsOf,
  isGranular,
  isRecord,
  itemSteps,
  ownable,
  printPath,
} from "./field-sets.ts";
import { type KubeObject, timestamp } from "./objects.ts";
import { sameJson } from "./same-json.ts";
import { applyConflict, badRequest } from "./status.ts";

interface ManagedFields {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly time: string;
  readonly fields: FieldSet;
}

type JsonRecord = Record<string, unknown>;

/** Owns every field of an object without known owners, before the first apply. */
const BEFORE_FIRST_APPLY = "before-first-apply";

export interface Apply {
  /** The manager's whole intent, as sent. */
  readonly applied: JsonRecord;
  readonly manager: string;
  /** Takes fields from other managers instead of failing. */
  readonly force: boolean;
}

/**
 * Applies a manager's intent to an object. Sets the sent fields, and removes those that this manager applied
 * before, no longer sends, and no other manager owns. Throws 409 if another manager's field would change.
 *
 * @param live undefined if the object does not exist
 * @returns the object, to be admitted, or `live` itself if nothing changes
 */
export function applyTo(live: KubeObject | undefined, { applied, manager, force }: Apply): JsonRecord {
  const intent = ownable(applied);
  const sent = fieldsOf(intent);
  const entries = live === undefined ? [] : (managersOf(live) ?? [beforeFirstApply(live)]);
  const own = entries.find((entry) => isBy(entry, manager, "Apply"));
  const others = entries.filter((entry) => entry !== own);

  // A list's item exists on both sides. A leaf conflicts if its value would change.
  const liveFields = live === undefined ? new Map<string, Field>() : fieldsOf(live);
  const contested = new Set(
    [...sent].flatMap(([key, { value }]) => {
      const current = liveFields.get(key);
      return current === undefined || sameJson(current.value, value) ? [] : [key];
    }),
  );
  const conflicts = others.flatMap(({ manager: by, operation, apiVersion, fields }) => {
    const who = `"${by}"${operation === "Update" ? ` using ${apiVersion}` : ""}`;
    return [...fields].flatMap(([key, { steps }]) => (contested.has(key) ? [{ who, field: printPath(steps) }] : []));
  });
  if (conflicts.length > 0 && !force) throw applyConflict(conflicts);

  const left = others.map((entry) => without(entry, contested));
  const gone = [...(own?.fields ?? [])].flatMap(([key, field]) => (sent.has(key) ? [] : [field]));
  const merged = prune(merge(live ?? {}, intent, []) as JsonRecord, gone, [sent, ...left.map(({ fields }) => fields)]);
  const isSame = own?.fields.size === sent.size && gone.length === 0;
  if (live !== undefined && isSame && sameJson(merged, live)) return live;
  const apiVersion = text(applied["apiVersion"]);
  const mine: ManagedFields = isSame && own ? own : { manager, operation: "Apply", apiVersion, ...now(sent) };
  const managedFields = [...left.filter(({ fields }) => fields.size > 0), mine].map(encode);
  const { metadata } = merged;
  const resourceVersion = (isRecord(applied["metadata"]) ? applied["metadata"]["resourceVersion"] : undefined) ?? "";
  return { ...merged, metadata: { ...(isRecord(metadata) ? metadata : {}), resourceVersion, managedFields } };
}

/**
 * Updates the ownership after a create, update or patch: the manager owns what has changed.
 *
 * @returns `next` with its `managedFields`
 */
export function trackUpdate<O extends { metadata: JsonRecord; apiVersion: string }>(
  previous: KubeObject | undefined,
  next: O,
  manager: string,
): O {
  const before: FieldSet = previous === undefined ? new Map() : fieldsOf(previous);
  const after = fieldsOf(next);
  const isNew = (key: string, { value }: Field): boolean => {
    const was = before.get(key);
    return was === undefined || !sameJson(was.value, value);
  };
  const changed = new Map([...after].filter(([key, field]) => isNew(key, field)));
  const gone = [...before.keys()].filter((key) => !after.has(key));
  // Without the list, ownership stays as it was. An empty list removes all ownership.
  const known = "managedFields" in next.metadata ? managersOf(next) : previous && managersOf(previous);
  const taken = new Set([...changed.keys(), ...gone]);
  const own = known?.find((entry) => isBy(entry, manager, "Update"));
  const mine: ManagedFields = {
    ...{ manager, operation: "Update", apiVersion: next.apiVersion },
    ...now(new Map([...(own?.fields ?? []), ...changed])),
  };
  const others = (known ?? []).filter((entry) => entry !== own).map((entry) => without(entry, taken));
  const kept = without(changed.size > 0 || own === undefined ? mine : own, new Set(gone));
  const entries = [...others, kept].filter(({ fields }) => fields.size > 0);
  const { managedFields: _sent, ...metadata } = next.metadata;
  return {
    ...next,
    metadata: { ...metadata, ...(entries.length === 0 ? {} : { managedFields: entries.map(encode) }) },
  };
}

const isBy = (entry: ManagedFields, manager: string, operation: ManagedFields["operation"]): boolean =>
  entry.manager === manager && entry.operation === operation;

const now = (fields: FieldSet) => ({ time: timestamp(), fields });

const without = (entry: ManagedFields, keys: ReadonlySet<string>): ManagedFields => ({
  ...entry,
  fields: new Map([...entry.fields].filter(([key]) => !keys.has(key))),
});

const beforeFirstApply = (live: KubeObject): ManagedFields => ({
  ...{ manager: BEFORE_FIRST_APPLY, operation: "Update", apiVersion: live.apiVersion },
  ...now(fieldsOf(live)),
});

const encode = ({ manager, operation, apiVersion, time, fields }: ManagedFields): JsonRecord => ({
  ...{ manager, operation, apiVersion, time },
  fieldsType: "FieldsV1",
  fieldsV1: encodeFields(fields),
});

/** @returns undefined if nobody is named; unreadable entries, which clients may send, are ignored */
function managersOf({ metadata }: { readonly metadata: JsonRecord }): ManagedFields[] | undefined {
  const list = metadata["managedFields"];
  const entries = (Array.isArray(list) ? list : []).filter(isRecord).flatMap((entry): ManagedFields[] => {
    const { operation } = entry;
    if (operation !== "Apply" && operation !== "Update") return [];
    const { manager, apiVersion, time } = entry;
    const fields = decodeFields(entry["fieldsV1"]);
    return [{ manager: text(manager), operation, apiVersion: text(apiVersion), time: text(time), fields }];
  });
  return entries.length === 0 ? undefined : entries;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function merge(live: unknown, applied: unknown, steps: readonly string[]): unknown {
  if (isGranular(applied, steps) && isRecord(live)) {
    const result = new Map(Object.entries(live));
    for (const [key, value] of Object.entries(applied)) {
      result.set(key, merge(result.get(key), value, [...steps, `f:${key}`]));
    }
    return Object.fromEntries(result);
  }
  if (!Array.isArray(applied) || !Array.isArray(live)) return applied;
  const [have, want] = [itemSteps(live, steps), itemSteps(applied, steps)];
  if (have === undefined || want === undefined) return applied;
  if (new Set(want).size < want.length) throw badRequest(`${printPath(steps)} has the same item twice`);
  const result: unknown[] = [...live];
  applied.forEach((item, index) => {
    const step = want[index] ?? "";
    const at = have.indexOf(step);
    if (at === -1) result.push(item);
    else result[at] = merge(live[at], item, [...steps, step]);
  });
  return result;
}

/** Removes the fields that the manager gave up and no other manager owns. */
function prune(object: JsonRecord, gone: readonly Field[], wanted: readonly FieldSet[]): JsonRecord {
  const kept = wanted.flatMap((fields) => [...fields.values()]);
  const isKept = (steps: readonly string[]): boolean =>
    kept.some((field) => steps.every((step, index) => field.steps[index] === step));
  return gone.reduce<JsonRecord>((result, { steps }) => {
    if (isKept(steps) || isKeyOfItem(steps)) return result;
    return (remove(result, steps, []) as JsonRecord | undefined) ?? {};
  }, object);
}

// The key of a list's item is removed only together with the item.
function isKeyOfItem(steps: readonly string[]): boolean {
  const [item = "", field = ""] = steps.slice(-2);
  return item.startsWith("k:") && Object.hasOwn(JSON.parse(item.slice(2)) as object, field.slice(2));
}

/** @returns the value without what is at the path; undefined if nothing is left */
function remove(value: unknown, [step, ...rest]: readonly string[], at: readonly string[]): unknown {
  if (step === undefined) return undefined;
  if (Array.isArray(value)) {
    const index = itemSteps(value, at)?.indexOf(step) ?? -1;
    if (index === -1) return value;
    const item = remove(value[index], rest, [...at, step]);
    const list = item === undefined ? value.toSpliced(index, 1) : value.with(index, item);
    return list.length === 0 ? undefined : list;
  }
  if (!isRecord(value)) return value;
  const key = step.slice(2);
  if (!Object.hasOwn(value, key)) return value;
  const left = remove(value[key], rest, [...at, step]);
  const entries = Object.entries(value).flatMap(([name, item]) => {
    if (name !== key) return [[name, item]];
    return left === undefined ? [] : [[name, left]];
  });
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
