/** Cloudflare's API v4, reading only (D1's query is a POST by its nature). */
import * as z from "zod";
import type { Http } from "./http.ts";

/** The variable's name is wrangler's. */
export const DEFAULT_API = "https://api.cloudflare.com/client/v4";

/** The API said no. The message has its words and never the token. */
export class CloudflareError extends Error {
  override readonly name = "CloudflareError";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export interface Cloudflare {
  /** @param path below `/accounts/<id>/` */
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  /** One read-only statement on a D1 database. */
  query<T>(database: string, sql: string, schema: z.ZodType<T>): Promise<T[]>;
}

const envelope = z.object({
  success: z.boolean(),
  errors: z.array(z.object({ code: z.number(), message: z.string() })).default([]),
  result: z.unknown(),
});
const queryResult = z.tuple([z.object({ results: z.array(z.unknown()), success: z.boolean() })], z.unknown());

export interface CloudflareOptions {
  readonly account: string;
  readonly token: string;
  /** Default: Cloudflare's. */
  readonly api?: string | undefined;
}

/** @returns an API client whose GETs are asked once each: several checks look at the same things */
export function cloudflareApi(http: Http, { account, token, api = DEFAULT_API }: CloudflareOptions): Cloudflare {
  const asked = new Map<string, Promise<unknown>>();

  async function ask(path: string, body?: object): Promise<unknown> {
    const answer = await http({
      url: `${api}/accounts/${account}/${path}`,
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const parsed = envelope.safeParse(parse(answer.body));
    if (!parsed.success)
      throw new CloudflareError(`Cloudflare's API answered ${answer.status} to ${path}`, answer.status);
    if (parsed.data.success) return parsed.data.result;
    const words = parsed.data.errors.map(({ code, message }) => `${message} (${code})`).join("; ");
    throw new CloudflareError(`Cloudflare's API refused ${path}: ${words || answer.status}`, answer.status);
  }

  return {
    async get(path, schema) {
      const answer = asked.get(path) ?? ask(path);
      asked.set(path, answer);
      return read(schema, await answer, path);
    },
    async query(database, sql, schema) {
      const path = `d1/database/${database}/query`;
      const [{ results }] = read(queryResult, await ask(path, { sql }), path);
      return results.map((row) => read(schema, row, path));
    },
  };
}

function read<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues.map((issue) => issue.path.join(".") || "the whole");
  throw new CloudflareError(
    `Cloudflare's API answered ${path} in another shape than this version knows: ${places.join(", ")}`,
    200,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
