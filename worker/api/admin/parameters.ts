import * as z from "zod";
import type { Position, SessionFilter } from "../../../audit/queries.ts";
import type { RequestFilter } from "../../../audit/request-queries.ts";
import { CATEGORIES, DECISIONS } from "../../../audit/requests.ts";

const time = z.iso
  .datetime({ offset: true, error: "must be a time like 2026-11-17T00:00:00Z" })
  .transform((text) => Date.parse(text));

const limit = z.coerce.number().int().min(1).max(500).default(100);

/** Strict: a misspelt filter would quietly show more than was asked for. */
const listParameters = z.strictObject({
  state: z.enum(["live", "ended", "all"]).default("all"),
  user: z.string().toLowerCase().optional(),
  namespace: z.string().optional(),
  pod: z.string().optional(),
  kind: z.string().optional(),
  since: time.optional(),
  until: time.optional(),
  limit,
  cursor: z.string().transform(readCursor).optional(),
});

const requestsParameters = z.strictObject({
  user: z.string().toLowerCase().optional(),
  category: z.enum(CATEGORIES).optional(),
  decision: z.enum(DECISIONS).optional(),
  namespace: z.string().optional(),
  since: time.optional(),
  until: time.optional(),
  limit,
  cursor: z
    .string()
    .regex(/^[0-9TZ:.-]{24}-[0-9a-z]{1,32}$/, "must be a `next` of an earlier answer")
    .optional(),
});

export interface ListQuery {
  readonly filter: SessionFilter;
  readonly limit: number;
  readonly after: Position | undefined;
}

/** @returns the query, or what is wrong with it in words */
export function readListQuery(parameters: URLSearchParams): ListQuery | string {
  const read = readParameters(parameters, listParameters);
  if (typeof read === "string") return read;
  const { limit, cursor, ...filter } = read;
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  return { filter: { state: filter.state, ...given }, limit, after: cursor };
}

/** The same for `GET requests`. */
export function readRequestsQuery(
  parameters: URLSearchParams,
): { readonly filter: RequestFilter; readonly limit: number; readonly before: string | undefined } | string {
  const read = readParameters(parameters, requestsParameters);
  if (typeof read === "string") return read;
  const { limit, cursor, ...filter } = read;
  return { filter, limit, before: cursor };
}

function readParameters<T>(parameters: URLSearchParams, schema: z.ZodType<T>): T | string {
  const repeated = [...parameters.keys()].find((key) => parameters.getAll(key).length > 1);
  if (repeated !== undefined) return `${repeated} is given more than once`;
  const parsed = schema.safeParse(Object.fromEntries(parameters));
  return parsed.success ? parsed.data : z.prettifyError(parsed.error).replaceAll("\n", " ");
}

export function writeCursor({ startedAt, id }: Position): string {
  return `${startedAt}.${id}`;
}

function readCursor(text: string, context: z.RefinementCtx): Position {
  const match = /^(\d{1,15})\.([A-Za-z0-9_-]{1,64})$/.exec(text);
  if (match?.[1] && match[2]) return { startedAt: Number(match[1]), id: match[2] };
  context.addIssue({ code: "custom", message: "must be a `next` of an earlier answer" });
  return z.NEVER;
}
