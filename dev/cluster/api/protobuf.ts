import { badRequest } from "./status.ts";

/**
 * Reads the protobuf bodies that kubectl 1.36 sends for objects it knows (`kubectl create configmap`, `auth
 * can-i`). Answers are JSON, which every client accepts. An object is wrapped as `k8s\0` + runtime.Unknown
 * (apimachinery's serializer/protobuf). Fields that no schema names are skipped.
 */
export type FieldType =
  | "string"
  | "bytes"
  | "int"
  | "bool"
  | "intOrString"
  | { readonly mapOf: "string" | "bytes" }
  | { readonly message: MessageSchema };

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly repeated?: true;
}

/** Field number to field. */
export type MessageSchema = Readonly<Record<number, Field>>;

const MAGIC = Buffer.from("k8s\0");
const MAX_DEPTH = 20;
const UNKNOWN: MessageSchema = {
  1: {
    name: "typeMeta",
    type: { message: { 1: { name: "apiVersion", type: "string" }, 2: { name: "kind", type: "string" } } },
  },
  2: { name: "raw", type: "bytes" },
};

/** Reads a protobuf body. @returns the object as its JSON form would be; throws 400 */
export function decodeObject(body: Buffer, schemaOf: (kind: string) => MessageSchema | undefined): object {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw badRequest("the body is not an object in protobuf");
  const { typeMeta, raw } = decodeMessage(body.subarray(MAGIC.length), UNKNOWN, 0);
  const { apiVersion, kind } = (typeMeta ?? {}) as { apiVersion?: string; kind?: string };
  const schema = schemaOf(kind ?? "");
  if (schema === undefined) throw badRequest(`no kind "${kind ?? ""}" is known in protobuf: send it as JSON`);
  const bytes = Buffer.from(typeof raw === "string" ? raw : "", "base64");
  return { apiVersion, kind, metadata: {}, ...decodeMessage(bytes, schema, 0) };
}

function decodeMessage(bytes: Buffer, schema: MessageSchema, depth: number): Record<string, unknown> {
  if (depth > MAX_DEPTH) throw badRequest("protobuf body is nested too deeply");
  const entries = new Map<string, unknown>();
  for (const { number, value } of wireFields(bytes)) {
    const field = schema[number];
    if (field === undefined) continue;
    const { name, type, repeated } = field;
    if (typeof type === "object" && "mapOf" in type) {
      const key = decodeMessage(expectBytes(value), { 1: { name: "key", type: "string" } }, depth + 1)["key"] ?? "";
      const entry = wireFields(expectBytes(value)).find((part) => part.number === 2)?.value ?? Buffer.alloc(0);
      const pairs = (entries.get(name) ?? {}) as Record<string, unknown>;
      entries.set(name, Object.fromEntries([...Object.entries(pairs), [key, decodeValue(entry, type.mapOf, depth)]]));
    } else if (repeated) {
      entries.set(name, [...((entries.get(name) ?? []) as unknown[]), decodeValue(value, type, depth)]);
    } else if (!isDefault(value)) {
      entries.set(name, decodeValue(value, type, depth));
    }
  }
  return Object.fromEntries(entries);
}

// Kubernetes' generated code writes unset fields as empty ones, which JSON omits.
const isDefault = (value: number | Buffer): boolean => (typeof value === "number" ? value === 0 : value.length === 0);

function decodeValue(value: number | Buffer, type: FieldType, depth: number): unknown {
  if (type === "int") return expectNumber(value);
  if (type === "bool") return expectNumber(value) !== 0;
  if (type === "string") return expectBytes(value).toString("utf8");
  if (type === "bytes") return expectBytes(value).toString("base64");
  if (type === "intOrString") {
    const fields = { 2: { name: "number", type: "int" }, 3: { name: "text", type: "string" } } as const;
    const { number, text } = decodeMessage(expectBytes(value), fields, depth + 1);
    return text ?? number;
  }
  if ("message" in type) return decodeMessage(expectBytes(value), type.message, depth + 1);
  return undefined;
}

function wireFields(bytes: Buffer): { number: number; value: number | Buffer }[] {
  const fields: { number: number; value: number | Buffer }[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 64; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw badRequest("protobuf body ends inside a number");
      // Not <<, which has 32 bits. Beyond 2^53 this is inexact, but no field here is that large.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw badRequest("protobuf body has a number of more than 64 bits");
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw badRequest("protobuf body ends inside a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        fields.push({ number, value: varint() });
        break;
      case 1:
        fields.push({ number, value: take(8) });
        break;
      case 2:
        fields.push({ number, value: take(varint()) });
        break;
      case 5:
        fields.push({ number, value: take(4) });
        break;
      default:
        throw badRequest("protobuf body has an unknown wire type");
    }
  }
  return fields;
}

function expectNumber(value: number | Buffer): number {
  if (typeof value !== "number") throw badRequest("protobuf body has bytes for a number");
  return value;
}

function expectBytes(value: number | Buffer): Buffer {
  if (typeof value === "number") throw badRequest("protobuf body has a number for bytes");
  return value;
}
