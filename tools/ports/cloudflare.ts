/** Cloudflare's API v4, for reading. (A D1 query is a POST by nature.) */
import * as z from "zod";
import { parseJson } from "../../common/json.ts";
import type { Http } from "./http.ts";

export const DEFAULT_API = "https://api.cloudflare.com/client/v4";

/**
 * The API refused a request, or answered something unknown. The message quotes the API and never the token.
 */
export class CloudflareError extends Error {
  override readonly name = "CloudflareError";
  /** Of the HTTP answer. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** @returns whether the API refused a request because its token may not make it */
export function isForbidden(error: unknown): boolean {
  return error instanceof CloudflareError && (error.status === 401 || error.status === 403);
}

/** @returns the names that the zone of a host name may have, the longest first */
export function possibleZones(hostname: string): string[] {
  const labels = hostname.split(".");
  return labels.slice(0, -1).map((_, first) => labels.slice(first).join("."));
}

/** @throws CloudflareError, all methods alike */
export interface Cloudflare {
  /** @param path below `/accounts/<id>/` */
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  /** @param path below `/zones/<zone>/` */
  getOfZone<T>(zone: string, path: string, schema: z.ZodType<T>): Promise<T>;
  /** @param path below the API's root, with its query */
  getFromRoot<T>(path: string, schema: z.ZodType<T>): Promise<T>;
  /** Runs one read-only statement on a D1 database. @returns its rows */
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

/** Makes an API client. It sends each GET once: several checks look at the same things. */
export function cloudflareApi(http: Http, { account, token, api = DEFAULT_API }: CloudflareOptions): Cloudflare {
  const answers = new Map<string, Promise<unknown>>();

  async function send(path: string, body?: object): Promise<unknown> {
    const answer = await http({
      url: `${api}/${path}`,
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const parsed = envelope.safeParse(parseJson(answer.body));
    if (!parsed.success) {
      throw new CloudflareError(`Cloudflare's API answered ${answer.status} to ${path}`, answer.status);
    }
    if (parsed.data.success) return parsed.data.result;
    const reasons = parsed.data.errors.map(({ code, message }) => `${message} (${code})`).join("; ");
    throw new CloudflareError(`Cloudflare's API refused ${path}: ${reasons || answer.status}`, answer.status);
  }

  async function get<T>(path: string, schema: z.ZodType<T>): Promise<T> {
    const answer = answers.get(path) ?? send(path);
    answers.set(path, answer);
    return validate(schema, await answer, path);
  }

  return {
    get: (path, schema) => get(`accounts/${account}/${path}`, schema),
    getOfZone: (zone, path, schema) => get(`zones/${zone}/${path}`, schema),
    getFromRoot: get,
    async query(database, sql, schema) {
      const path = `accounts/${account}/d1/database/${database}/query`;
      const [{ results }] = validate(queryResult, await send(path, { sql }), path);
      return results.map((row) => validate(schema, row, path));
    },
  };
}

function validate<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => issue.path.join(".") || "the whole answer");
  throw new CloudflareError(
    `Cloudflare's API answered ${path} in a form that this version does not know: ${fields.join(", ")}`,
    200,
  );
}
