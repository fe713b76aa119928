/** A configuration schema as tables for people, and as JSON Schema for editors. Pure. */
import * as z from "zod";
import { markdownTable } from "../markdown.ts";

/** JSON Schema, as far as zod writes it for our schemas. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly id?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  /** Alternatives that a field tells apart. */
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
}

/** The schema of what people write, in which fields with a default are optional. */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema;
}

/** The text of a JSON Schema file. It has no ids, which mean something else to older editors. */
export function schemaFileOf(schema: z.ZodType): string {
  const text = JSON.stringify(
    jsonSchemaOf(schema),
    (key, value) => (key === "id" && typeof value === "string" ? undefined : value),
    2,
  );
  return `${text}\n`;
}

export interface Field {
  /** Dotted, relative to the section's object. */
  readonly path: string;
  readonly type: string;
  readonly isRequired: boolean;
  /** The field belongs to one of several alternative objects. */
  readonly isEither: boolean;
  /** As JSON; undefined where there is none. */
  readonly default: string | undefined;
  readonly range: string;
  /** Empty where the schema has no description. */
  readonly meaning: string;
}

export interface Section {
  readonly id: string;
  readonly meaning: string;
  readonly fields: readonly Field[];
}

/** The document itself, with the id "", then each named part in the order of first mention. */
export function sectionsOf(schema: z.ZodType): Section[] {
  const root = jsonSchemaOf(schema);
  const parts = root.$defs ?? {};
  const sections: Section[] = [{ id: "", meaning: root.description ?? "", fields: fieldsOf(root, parts) }];
  const seen = new Set<string>();
  const add = (part: JsonSchema): void => {
    for (const id of mentionedIn(part)) {
      const found = parts[id];
      if (seen.has(id) || !found) continue;
      seen.add(id);
      sections.push({ id, meaning: found.description ?? "", fields: fieldsOf(found, parts) });
      add(found);
    }
  };
  add({ ...root, $defs: {} });
  return sections;
}

/**
 * The schema as Markdown: a table for each section.
 *
 * @param anchor begins the headings' anchors, because two documents may have parts of one name
 */
export function referenceOf(schema: z.ZodType, anchor: string): string {
  const sections = sectionsOf(schema).map(({ id, meaning: description, fields }) => {
    const rows = fields.map(({ path, type, isRequired, isEither, default: value, range, meaning }) => [
      `\`${path}\``,
      type.replaceAll("](#", `](#${anchor}-`),
      isEither ? "one of these" : isRequired ? "**required**" : value === undefined ? "" : `\`${value}\``,
      range,
      meaning,
    ]);
    const head = id === "" ? "" : `### ${anchor}: ${id}\n\n${description}\n\n`;
    return head + markdownTable(["field", "type", "default", "range", "meaning"], rows);
  });
  return sections.join("\n\n");
}

/**
 * The fields of an object, or of each alternative. Fields of unnamed inner objects are listed with their
 * path.
 */
export function fieldsOf(schema: JsonSchema, parts: Readonly<Record<string, JsonSchema>>, prefix = ""): Field[] {
  const objects = objectsIn(schema);
  const isEither = objects.length > 1 && schema.oneOf === undefined;
  return objects.flatMap((object) =>
    Object.entries(object.properties ?? {}).flatMap(([name, field]) => {
      const path = prefix + name;
      const target = field.$ref === undefined ? undefined : parts[idOf(field.$ref)];
      const own: Field = {
        path,
        type: typeOf(field),
        isRequired: object.required?.includes(name) ?? false,
        isEither,
        default: defaultOf(field),
        range: rangeOf(field),
        meaning: field.description ?? target?.description ?? "",
      };
      const inner = field.items ? fieldsOf(field.items, parts, `${path}[].`) : fieldsOf(field, parts, `${path}.`);
      return [own, ...inner];
    }),
  );
}

function objectsIn(schema: JsonSchema): readonly JsonSchema[] {
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.flatMap(objectsIn);
  return schema.properties ? [schema] : [];
}

/** A schema's type as a cell of a table. A named part is a link. */
export function typeOf(schema: JsonSchema): string {
  if (schema.$ref !== undefined) return `[${idOf(schema.$ref)}](#${idOf(schema.$ref).toLowerCase()})`;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(" or ");
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.format === "date-time") return "time";
  const options = schema.anyOf ?? schema.oneOf ?? typesIn(schema);
  if (options) return [...new Set(options.map(typeOf))].join(" or ");
  if (schema.items) return `list of ${schema.items.$ref ? typeOf(schema.items) : plural(typeOf(schema.items))}`;
  if (schema.properties) return "object";
  if (typeof schema.additionalProperties === "object")
    return `object of ${plural(typeOf(schema.additionalProperties))} by name`;
  return (
    { integer: "whole number", boolean: "true or false", string: "text" }[String(schema.type)] ??
    String(schema.type ?? "as described")
  );
}

function plural(type: string): string {
  return type.startsWith("`") || type.startsWith("[") ? type : type.replace(/^(text|object|list)/, "$1s");
}

/** An empty object is not shown as a default: the object's fields show theirs. */
function defaultOf({ default: value }: JsonSchema): string | undefined {
  if (value === undefined) return undefined;
  const text = JSON.stringify(value);
  return text === "{}" ? undefined : text;
}

function rangeOf(schema: JsonSchema): string {
  const { minimum, maximum, minLength, maxLength, minItems, format, pattern, items } = schema;
  const bounds = (least: number | undefined, most: number | undefined, unit: string) => {
    if (least === undefined && most === undefined) return [];
    if (most === undefined) return (least ?? 0) > 1 ? [`at least ${least} ${unit}`] : least === 1 ? ["not empty"] : [];
    return [least === undefined ? `at most ${most} ${unit}` : `${least} to ${most}${unit === "" ? "" : ` ${unit}`}`];
  };
  const own = [
    ...bounds(minimum, maximum, ""),
    ...bounds(minLength, maxLength, "characters"),
    ...bounds(minItems, undefined, "of them"),
    ...(format === undefined ? [] : [format === "uri" ? "a URL" : format]),
    ...(pattern === undefined || format !== undefined ? [] : [`\`${pattern}\``]),
  ];
  const ofItems = items && !items.$ref && !items.enum ? rangeOf(items) : "";
  return [...own, ...(ofItems === "" || ofItems === "not empty" ? [] : [`each ${ofItems}`])].join(", ");
}

/** A schema with several types, as one schema for each. */
function typesIn(schema: JsonSchema): JsonSchema[] | undefined {
  return Array.isArray(schema.type) ? schema.type.map((type: string) => ({ ...schema, type })) : undefined;
}

/** The id in `#/$defs/limits`, or in OpenAPI's `#/components/schemas/Session`. */
function idOf(ref: string): string {
  return ref.slice(ref.lastIndexOf("/") + 1);
}

function mentionedIn(schema: JsonSchema): string[] {
  return [...JSON.stringify({ ...schema, $defs: undefined }).matchAll(/"#\/\$defs\/([^"]+)"/g)].map(
    ([, id]) => id ?? "",
  );
}
