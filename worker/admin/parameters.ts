import * as z from "zod";
import type { Position, SessionFilter } from "../../audit/queries.ts";

const time = z.iso
  .datetime({ offset: true, error: "must be a time like 2026-11-17T00:00:00Z" })
  .transform((text) => Date.parse(text));

/** Strict: a misspelt filter would quietly show more than was asked for. */
const listParameters = z.strictObject({
  state: z.enum(["live", "ended", "all"]).default("all"),
  user: z.string().toLowerCase().optional(),
  namespace: z.string().optional(),
  pod: z.string().optional(),
  kind: z.string().optional(),
  since: time.optional(),
  until: time.optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().transform(readCursor).optional(),
});

export interface ListQuery {
  readonly filter: SessionFilter;
  readonly limit: number;
  readonly after: Position | undefined;
}

/** @returns the query, or what is wrong with it in words */
export function readListQuery(parameters: URLSearchParams): ListQuery | string {
  const repeated = [...parameters.keys()].find((key) => parameters.getAll(key).length > 1);
  if (repeated !== undefined) return `${repeated} is given more than once`;
  const parsed = listParameters.safeParse(Object.fromEntries(parameters));
  if (!parsed.success) return z.prettifyError(parsed.error).replaceAll("\n", " ");
  const { limit, cursor, ...filter } = parsed.data;
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  return { filter: { state: filter.state, ...given }, limit, after: cursor };
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
