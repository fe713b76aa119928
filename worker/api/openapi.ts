/** The API's description in OpenAPI 3.1, made from `ROUTES`. Pure. */
import * as z from "zod";
import { STATUS_CODES } from "../../kubernetes/status.ts";
import { DENIALS, type DenialCode } from "../denials.ts";
import { CSV_CONTENT_TYPE } from "./csv.ts";
import { errorCodeOf, refusal } from "./responses.ts";
import { generalDenials, type Route } from "./route.ts";
import { ROUTES } from "./routes.ts";

type JsonObject = Readonly<Record<string, unknown>>;

export type OpenApiDocument = {
  readonly openapi: string;
  readonly info: JsonObject;
  readonly paths: Readonly<Record<string, JsonObject>>;
  readonly components: JsonObject;
  readonly security: readonly JsonObject[];
};

/** What the document says of somebody's own token: the role that a route requires stands beside it. */
const SECURITY_SCHEME = "access";

let made: OpenApiDocument | undefined;

/** Makes the document at the first call, and keeps it. */
export function openApiDocument(): OpenApiDocument {
  made ??= describeRoutes(ROUTES);
  return made;
}

/** @param routes by operation id */
export function describeRoutes(routes: Readonly<Record<string, Route>>): OpenApiDocument {
  const { schemas, schemaOf } = convertSchemas(routes);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [operationId, route] of Object.entries(routes)) {
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: describeOperation(operationId, route, schemaOf),
    };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Sallyport",
      version: "1",
      description:
        "What people and administrators ask Sallyport itself. Answers may get further fields: ignore those that you do not know.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas,
      securitySchemes: {
        [SECURITY_SCHEME]: {
          type: "apiKey",
          in: "header",
          name: "Cf-Access-Jwt-Assertion",
          description: "Cloudflare Access adds it to the requests of whoever has signed in.",
        },
      },
    },
    security: [{ [SECURITY_SCHEME]: [] }],
  };
}

/** The parts of a JSON Schema that this file reads. */
interface JsonSchema extends JsonObject {
  readonly properties?: Readonly<Record<string, JsonObject>>;
  readonly required?: readonly string[];
}

type SchemaOf = (schema: z.ZodType) => JsonSchema;

function describeOperation(operationId: string, route: Route, schemaOf: SchemaOf): JsonObject {
  const { access, summary, params, query, body } = route;
  const parameters = [...parametersOf("path", params, schemaOf), ...parametersOf("query", query, schemaOf)];
  return {
    operationId,
    summary,
    // OpenAPI 3.1 lets any kind of scheme name the roles that an operation requires.
    ...(access === "public" && { security: [] }),
    ...((access === "auditor" || access === "admin") && { security: [{ [SECURITY_SCHEME]: [access] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: describeBody(body, schemaOf) }),
    responses: {
      ...describeUpgrade(route),
      "200": describeAnswer(route, schemaOf),
      ...describeRange(route),
      ...describeDenials(route, schemaOf),
    },
  };
}

function parametersOf(place: "path" | "query", parameters: z.ZodObject | undefined, schemaOf: SchemaOf): JsonObject[] {
  const { properties = {}, required = [] } = parameters ? schemaOf(parameters) : {};
  return Object.entries(properties).map(([name, { description, ...schema }]) => {
    return { name, in: place, required: required.includes(name), description, schema };
  });
}

function describeBody({ schema, example, plainTextField }: NonNullable<Route["body"]>, schemaOf: SchemaOf): JsonObject {
  return {
    required: !schema.safeParse({}).success,
    content: {
      "application/json": { schema: schemaOf(schema), example },
      ...(plainTextField !== undefined && {
        "text/plain": { schema: { type: "string" }, example: example[plainTextField] },
      }),
    },
  };
}

function describeAnswer({ method, answer }: Route, schemaOf: SchemaOf): JsonObject {
  switch (answer.kind) {
    case "json":
      return {
        description: "The request succeeded.",
        ...(method !== "HEAD" && {
          content: {
            "application/json": { schema: schemaOf(answer.schema) },
            ...(answer.csv && { [CSV_CONTENT_TYPE]: {} }),
          },
        }),
      };
    case "file":
      return {
        description: answer.description,
        content: { [answer.contentType]: {}, ...(answer.alternative !== undefined && { [answer.alternative]: {} }) },
      };
  }
}

function describeUpgrade({ answer }: Route): Readonly<Record<string, JsonObject>> {
  if (answer.kind !== "file" || answer.subprotocol === undefined) return {};
  const description = `With \`Upgrade: websocket\`: the same over a WebSocket, subprotocol \`${answer.subprotocol}\`, a message per line.`;
  return { "101": { description } };
}

function describeRange({ answer }: Route): Readonly<Record<string, JsonObject>> {
  if (answer.kind !== "file" || !answer.hasRanges) return {};
  return { "206": { description: "The part that `Range` asks for.", content: { [answer.contentType]: {} } } };
}

/** One response per HTTP status, which names the `error.code` values that it comes with. */
function describeDenials(route: Route, schemaOf: SchemaOf): Readonly<Record<string, JsonObject>> {
  const byStatus = new Map<number, Set<string>>();
  for (const code of denialsOf(route)) {
    const status = STATUS_CODES[DENIALS[code]];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(errorCodeOf(code)));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: [...codes].map((code) => `\`${code}\``).join(", "),
        ...(route.method !== "HEAD" && { content: { "application/json": { schema: schemaOf(refusal) } } }),
      },
    ]),
  );
}

/** Everything that a route may be refused with. */
export function denialsOf(route: Route): DenialCode[] {
  return [...generalDenials(route), ...route.denials];
}

/**
 * Converts all schemas of the routes at once: those with an id become components, to which the others refer.
 * Requests are described as clients write them, answers as clients read them.
 */
function convertSchemas(routes: Readonly<Record<string, Route>>): { schemas: JsonObject; schemaOf: SchemaOf } {
  const inputs = new Set<z.ZodType>();
  const outputs = new Set<z.ZodType>([refusal]);
  for (const { params, query, body, answer } of Object.values(routes)) {
    for (const schema of [params, query, body?.schema]) if (schema) inputs.add(schema);
    if (answer.kind === "json") outputs.add(answer.schema);
  }
  const [asInput, asOutput] = [toJsonSchemas([...inputs], "input"), toJsonSchemas([...outputs], "output")];
  const converted = new Map([...asInput.converted, ...asOutput.converted]);
  return {
    schemas: { ...asInput.components, ...asOutput.components },
    schemaOf: (schema) => converted.get(schema) ?? {},
  };
}

function toJsonSchemas(schemas: readonly z.ZodType[], io: "input" | "output") {
  const all = z.object(Object.fromEntries(schemas.map((schema, index) => [index, schema])));
  const text = JSON.stringify(z.toJSONSchema(all, { io, override: ({ jsonSchema }) => simplify(jsonSchema, io) }));
  const { properties = {}, $defs = {} } = JSON.parse(text.replaceAll('"#/$defs/', '"#/components/schemas/')) as {
    properties?: Record<number, JsonSchema>;
    $defs?: Record<string, JsonSchema>;
  };
  return {
    converted: schemas.map((schema, index) => [schema, properties[index] ?? {}] as const),
    components: $defs,
  };
}

/** Removes what zod adds for itself, and what would forbid further fields in answers. */
function simplify(schema: z.core.JSONSchema.BaseSchema, io: "input" | "output"): void {
  if (typeof schema.id === "string") delete schema.id;
  if (schema.format === "date-time") delete schema.pattern;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (io === "output" && schema.additionalProperties === false) delete schema.additionalProperties;
}
