/** The types of the API's calls and answers, from the edge's own description of its routes. No code of it. */
import type * as z from "zod";
import type { ErrorCode } from "../../../worker/api/responses.ts";
import type { AnswerOf, Route } from "../../../worker/api/route.ts";
import type { ROUTES, RouteName } from "../../../worker/api/routes.ts";

type Routes = typeof ROUTES;

/** A route as `METHOD PATH`, whose `{name}` parts a call fills in. */
export type Endpoint = {
  [Name in RouteName]: Routes[Name]["answer"]["kind"] extends "json"
    ? `${Routes[Name]["method"]} ${Routes[Name]["path"]}`
    : never;
}[RouteName];

type RouteOf<E extends Endpoint> = {
  [Name in RouteName]: E extends `${Routes[Name]["method"]} ${Routes[Name]["path"]}` ? Routes[Name] : never;
}[RouteName];

/** What a route answers when it succeeds. */
export type Answer<E extends Endpoint> = RouteOf<E> extends infer R extends Route ? AnswerOf<R> : never;

/** Names of the query parameters that a route takes: any where each resource has parameters of its own. */
export type QueryName<E extends Endpoint> =
  RouteOf<E> extends { readonly query: infer Query extends z.ZodType } ? keyof z.input<Query> & string : never;

/** A list is a parameter that is repeated. */
export type QueryValue = string | number | boolean | readonly string[] | undefined;

/** What fills in one call. */
export interface Parts<E extends Endpoint> {
  /** The `{name}` parts of the path. They are percent-encoded here. */
  readonly params?: Readonly<Record<string, string>>;
  /** Those that are undefined or empty are left out. */
  readonly query?: { readonly [Name in QueryName<E>]?: QueryValue };
  readonly body?: unknown;
}

/** Why a call failed, for people (`message`: what happened, then what to do) and for code (`code`). */
export interface ApiFailure {
  /** The API's own code, or what happened on the way to it. */
  readonly code: ErrorCode | "network" | "sign_in" | "unreadable";
  readonly message: string;
  /** With `sign_in`: which application of Access wants it. */
  readonly signIn?: AccessApplication;
}

/** The applications of Access in front of this host: the admin API has one of its own. */
export type AccessApplication = "admin" | "host";

export type Session = Answer<"GET /-/admin/sessions">["items"][number];
export type SessionDetail = Answer<"GET /-/admin/sessions/{id}">;
export type SessionEvent = NonNullable<SessionDetail["events"]>[number];
export type ApiRequest = Answer<"GET /-/admin/requests">["items"][number];
export type Question = Answer<"GET /-/admin/questions">["items"][number];
export type QuestionAnswer = Answer<"GET /-/admin/questions/{name}">;
export type SystemHealth = Answer<"GET /-/admin/health">;
export type Webhooks = Answer<"GET /-/admin/webhooks">;
export type Activity = Answer<"GET /-/admin/users/{email}/activity">["items"][number];
export type AccessRequest = Answer<"GET /-/approvals/{id}">;
export type AccessDecision = Answer<"GET /-/approvals">["decided"][number];
export type AvailableGrant = Answer<"GET /-/access">["grants"][number];
export type ConfigInForce = Answer<"GET /-/admin/config">;
export type Whoami = Answer<"GET /-/whoami">;
