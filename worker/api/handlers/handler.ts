import type { Result } from "../../../common/result.ts";
import type { Denial } from "../../denials.ts";
import type { Bindings } from "../../env.ts";
import type { ApiContext } from "../request.ts";
import type { AnswerOf, Call } from "../route.ts";
import type { ROUTES, RouteName } from "../routes.ts";

type RouteOf<Name extends RouteName> = (typeof ROUTES)[Name];

/** A public route has no caller. */
type ContextOf<Name extends RouteName> = RouteOf<Name>["access"] extends "public"
  ? { readonly env: Bindings }
  : ApiContext;

/** Carries out one route's calls, which are authorized and parsed. */
export type Handler<Name extends RouteName> = (
  call: Call<RouteOf<Name>>,
  context: ContextOf<Name>,
) => Promise<Result<AnswerOf<RouteOf<Name>>, Denial>>;
