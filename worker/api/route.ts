/**
 * How a route of the API under `/-/` is described. The router, the OpenAPI document, docs/API.md and the
 * types of the handlers all come from this description. Pure: other programs than the Worker import it.
 */
import type * as z from "zod";
import type { DenialCode } from "../denials.ts";

/**
 * Who may call a route.
 *
 * - `public`: everybody whom Access lets through. The Worker looks at no token.
 * - `user`: everybody whom an identity rule knows.
 * - `auditor`, `admin`: holders of that role by the document's own `identities`. An admin may call what an
 *   auditor may.
 */
export type Access = "public" | "user" | "auditor" | "admin";

export type Method = "GET" | "HEAD" | "PUT" | "POST" | "DELETE";

/** A successful answer that is JSON. The router serializes what the handler returns. */
export interface JsonAnswer {
  readonly kind: "json";
  readonly schema: z.ZodType;
  /**
   * Whether callers may ask for CSV instead: of a page its `items`, of a table its `columns` and `rows`. Then
   * the route's query has `format`.
   */
  readonly csv?: boolean;
}

/** A successful answer that the handler makes itself, such as a download. */
export interface FileAnswer {
  readonly kind: "file";
  readonly contentType: string;
  readonly description: string;
  /** Another media type, for callers whose `Accept` names it. */
  readonly alternative?: string;
  /** Parts of it may be asked for with `Range`. */
  readonly hasRanges?: boolean;
  /** With `Upgrade: websocket`, a WebSocket of this subprotocol instead. */
  readonly subprotocol?: string;
}

/** A JSON object in the request's body. No body counts as an object without fields. */
export interface RequestBody {
  readonly schema: z.ZodObject;
  /** For messages and docs. */
  readonly example: Readonly<Record<string, unknown>>;
  /** If the body is no JSON object with this field, the whole body is the field's text. */
  readonly plainTextField?: string;
}

export interface Route {
  readonly method: Method;
  /** A template: `{name}` stands for one non-empty segment. Every name is a key of `params`. */
  readonly path: `/-/${string}`;
  readonly access: Access;
  /** One sentence: what the route does. */
  readonly summary: string;
  /** Parts of the path, percent-decoded. */
  readonly params?: z.ZodObject;
  /** Query parameters. A repeated one is refused; an unknown one, if the schema is strict. */
  readonly query?: z.ZodObject;
  readonly body?: RequestBody;
  readonly answer: JsonAnswer | FileAnswer;
  /** Denials beyond `generalDenials`. */
  readonly denials: readonly DenialCode[];
}

type OutputOf<T> = T extends z.ZodType ? z.output<T> : Readonly<Record<string, never>>;

/** A call of a route with everything parsed. */
export interface Call<R extends Route> {
  readonly params: OutputOf<R["params"]>;
  readonly query: OutputOf<R["query"]>;
  readonly body: R["body"] extends { readonly schema: infer Schema }
    ? OutputOf<Schema>
    : Readonly<Record<string, never>>;
}

/** What a route's handler returns when it succeeds. */
export type AnswerOf<R extends Route> = R["answer"] extends { readonly kind: "json"; readonly schema: infer Schema }
  ? OutputOf<Schema>
  : Response;

/** Where the object that is asked for the caller's lock, and by many routes for more, does not answer. */
const OBJECT_DENIALS = ["object_unavailable", "contract_mismatch", "object_schema_newer"] as const;

/** The denials that every route with the same access has. */
export function generalDenials({ access }: Route): DenialCode[] {
  if (access === "public") return ["internal"];
  const roleDenials: DenialCode[] = access === "user" ? [] : ["not_admin"];
  return [
    "bad_request",
    "no_token",
    "bad_token",
    "no_identity",
    ...roleDenials,
    "cross_site",
    "keys_unreachable",
    "identity_unreachable",
    "user_locked",
    ...OBJECT_DENIALS,
    "internal",
  ];
}
