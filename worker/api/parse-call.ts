/**
 * Parses a request into what its route's handler takes.
 *
 * A route's schema says whether unknown names are refused. Filters are strict, since a misspelt one would
 * show more than was asked for; so are locks, since a misspelt `minutes` would lock for ever. Where an
 * unknown name changes nothing it is ignored: monitors add parameters to get past caches, and `kubectl
 * --request-timeout` adds `timeout`.
 */
import * as z from "zod";
import { readBoundedText } from "../../common/read-bounded-text.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { type Denial, denial } from "../denials.ts";
import type { Call, RequestBody, Route } from "./route.ts";

const MAX_BODY_BYTES = 16 * 1024;

const jsonObject = z.record(z.string(), z.unknown());

/** What `kubectl --request-timeout` adds to every request, for the API server. */
const IGNORED_PARAMETER = "timeout";

/**
 * @param parts the path's named parts, percent-encoded
 * @param searchParams the query
 */
export async function parseCall<R extends Route>(
  route: R,
  parts: Readonly<Record<string, string>>,
  searchParams: URLSearchParams,
  request: Pick<Request, "body">,
): Promise<Result<Call<R>, Denial>> {
  const params = parseParams(route.params, parts);
  if (!params.ok) return params;
  const query = parseQuery(route.query, searchParams);
  if (!query.ok) return query;
  const body = route.body === undefined ? ok({}) : await parseBody(route.body, request);
  if (!body.ok) return body;
  // The one place that ties the schemas' outputs to the route's own types.
  return ok({ params: params.value, query: query.value, body: body.value } as Call<R>);
}

function parseParams(
  schema: z.ZodObject | undefined,
  parts: Readonly<Record<string, string>>,
): Result<unknown, Denial> {
  if (!schema) return ok({});
  const decoded: Record<string, string> = {};
  for (const [name, part] of Object.entries(parts)) {
    try {
      decoded[name] = decodeURIComponent(part);
    } catch {
      return badRequest(`${name} in the path has an invalid percent-encoding`);
    }
  }
  return parse(schema, decoded, (name) => `${name} in the path`);
}

function parseQuery(schema: z.ZodObject | undefined, searchParams: URLSearchParams): Result<unknown, Denial> {
  if (!schema) return ok({});
  const names = takesAny(schema) ? [...new Set(searchParams.keys())] : Object.keys(schema.shape);
  const repeated = names.find((name) => isOnce(schema, name) && searchParams.getAll(name).length > 1);
  if (repeated !== undefined) return badRequest(`query parameter ${repeated} is repeated: give it once`);
  const { [IGNORED_PARAMETER]: _, ...given }: Record<string, unknown> = Object.fromEntries(searchParams);
  for (const name of Object.keys(schema.shape).filter((each) => isList(schema.shape[each]))) {
    if (searchParams.has(name)) given[name] = searchParams.getAll(name);
  }
  return parse(schema, given, (name) => `query parameter ${name}`);
}

function isOnce(schema: z.ZodObject, name: string): boolean {
  return name !== IGNORED_PARAMETER && !(Object.hasOwn(schema.shape, name) && isList(schema.shape[name]));
}

/** Whether a parameter may be repeated. */
function isList(field: unknown): boolean {
  return field instanceof z.ZodArray || (field instanceof z.ZodDefault && isList(field.def.innerType));
}

/** Whether the handler reads further names. */
function takesAny({ def: { catchall } }: z.ZodObject): boolean {
  return catchall !== undefined && !(catchall instanceof z.ZodNever);
}

async function parseBody(body: RequestBody, request: Pick<Request, "body">): Promise<Result<unknown, Denial>> {
  // Not cancelled: the client would not read the refusal (worker/upstream/upload.ts).
  const pieces = request.body?.values({ preventCancel: true }) ?? null;
  const read = await readBoundedText(pieces, MAX_BODY_BYTES);
  const text = read.text.trim();
  const fields = read.isTruncated ? undefined : readFields(body, text);
  if (!fields) {
    const example = JSON.stringify(body.example);
    return badRequest(`the body must be a JSON object like ${example}, at most ${MAX_BODY_BYTES / 1024} KiB`);
  }
  return parse(body.schema, fields, (name) => `${name} in the body`);
}

/** @returns undefined if the body is not empty, no JSON object, and the route takes no plain text */
function readFields({ plainTextField }: RequestBody, text: string): Readonly<Record<string, unknown>> | undefined {
  const { data: fields } = jsonObject.safeParse(text === "" ? {} : parseJson(text));
  if (plainTextField === undefined) return fields;
  return fields && Object.hasOwn(fields, plainTextField) ? fields : { [plainTextField]: text };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parse(schema: z.ZodObject, value: unknown, nameOf: (field: string) => string): Result<unknown, Denial> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const known = Object.keys(schema.shape).join(", ");
  return badRequest(parsed.error.issues.map((issue) => describeIssue(issue, nameOf, known)).join("; "));
}

function describeIssue(issue: z.core.$ZodIssue, nameOf: (field: string) => string, known: string): string {
  if (issue.code === "unrecognized_keys") {
    return `unknown ${issue.keys.map(nameOf).join(", ")}: this route takes ${known}`;
  }
  const message = issue.message.replace(/^Invalid \w+: /, "");
  return `${nameOf(issue.path.join("."))}: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

function badRequest(message: string): Result<never, Denial> {
  return err(denial("bad_request", message));
}
