/** The generated parts of docs/API.md, rendered from the OpenAPI document that the edge serves. Pure. */

import { STATUS_CODES } from "../../kubernetes/status.ts";
import { openApiDocument } from "../../worker/api/openapi.ts";
import { errorCodeOf } from "../../worker/api/responses.ts";
import type { Route } from "../../worker/api/route.ts";
import { ROUTES } from "../../worker/api/routes.ts";
import { DENIALS, type DenialCode } from "../../worker/denials.ts";
import { fieldsOf, type JsonSchema, typeOf } from "../config-reference/reference.ts";
import { markdownTable } from "../markdown.ts";

const CALLERS: Readonly<Record<Route["access"], string>> = {
  public: "everybody whom Access lets through",
  user: "everybody who has signed in",
  auditor: "auditors and administrators",
  admin: "administrators",
};

/** The parts of docs/API.md, by name. */
export function apiParts(): Readonly<Record<string, string>> {
  return { routes: routeTable(), "route-details": routeDetails(), answers: answerTables() };
}

/** One row per route: the whole API at a glance. */
function routeTable(): string {
  const rows = Object.values<Route>(ROUTES).map((route) => [linkTo(route), CALLERS[route.access], route.summary]);
  return markdownTable(["request", "for", "what it does"], rows);
}

function headingOf({ method, path }: Route): string {
  return `\`${method} ${path}\``;
}

/** Anchors as the code host makes them of headings. */
function linkTo(route: Route): string {
  const anchor = `${route.method} ${route.path}`
    .toLowerCase()
    .replaceAll(/[^\w -]/g, "")
    .replaceAll(" ", "-");
  return `[${headingOf(route)}](#${anchor})`;
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: JsonSchema; example: unknown }>> };
  readonly responses: { readonly "200": { readonly content?: Readonly<Record<string, { schema?: JsonSchema }>> } };
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description: string;
  readonly schema: JsonSchema;
}

function routeDetails(): string {
  const { paths } = openApiDocument();
  return Object.values<Route>(ROUTES)
    .map((route) => {
      const operation = paths[route.path]?.[route.method.toLowerCase()] as Operation;
      const parts = [
        `### ${headingOf(route)}`,
        `${route.summary} For ${CALLERS[route.access]}.`,
        ...inputTable(operation),
        ...bodyExample(route),
        answerLine(route, operation),
      ];
      return parts.join("\n\n");
    })
    .join("\n\n");
}

/** One row per parameter. One that may be in the query or in the body has one row. */
function inputTable({ parameters = [], requestBody }: Operation): string[] {
  const inBody = requestBody?.content["application/json"]?.schema.properties ?? {};
  const rows = [
    ...parameters.map(({ name, in: place, schema, description }) =>
      inputRow(name, name in inBody ? `${place} or body` : place, schema, description),
    ),
    ...Object.entries(inBody)
      .filter(([name]) => !parameters.some((parameter) => parameter.name === name))
      .map(([name, schema]) => inputRow(name, "body", schema, schema.description ?? "")),
  ];
  return rows.length === 0 ? [] : [markdownTable(["parameter", "in", "type", "default", "meaning"], rows)];
}

function inputRow(name: string, place: string, schema: JsonSchema, meaning: string): string[] {
  const { default: standard } = schema;
  return [
    `\`${name}\``,
    place,
    typeOf(schema),
    standard === undefined ? "" : `\`${JSON.stringify(standard)}\``,
    meaning,
  ];
}

function bodyExample({ body }: Route): string[] {
  if (!body) return [];
  const { example, plainTextField } = body;
  const isText = plainTextField === undefined ? "" : `, or its \`${plainTextField}\` as plain text`;
  return [`Body: JSON like \`${JSON.stringify(example)}\`${isText}.`];
}

function answerLine(route: Route, { responses }: Operation): string {
  const [[contentType, content] = []] = Object.entries(responses["200"].content ?? {});
  const answer = content?.schema
    ? typeOf(content.schema)
    : contentType === undefined
      ? "no body"
      : `\`${contentType}\``;
  const refusals = route.denials.map(describeRefusal).join(", ");
  return `Answer: ${answer}.${refusals === "" ? "" : ` Further refusals: ${refusals}.`}`;
}

function describeRefusal(code: DenialCode): string {
  return `${STATUS_CODES[DENIALS[code]]} \`${errorCodeOf(code)}\``;
}

/** The fields of every answer that has a name. */
function answerTables(): string {
  const schemas = openApiDocument().components["schemas"] as Readonly<Record<string, JsonSchema>>;
  return Object.entries(schemas)
    .map(([id, schema]) => {
      const rows = fieldsOf(schema, schemas).map(({ path, type, meaning }) => [`\`${path}\``, type, meaning]);
      const table = rows.length === 0 ? "" : `\n\n${markdownTable(["field", "type", "meaning"], rows)}`;
      return `### ${id}\n\n${schema.description ?? ""}${table}`;
    })
    .join("\n\n");
}
